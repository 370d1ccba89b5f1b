package io.dcsidecar.client;

import java.util.Objects;

/** A live worker, for schedulers without a type of their own. Immutable. */
public final class Worker {
    final String address;
    final String datacenter;
    final String tag;

    private Worker(String address, String datacenter, String tag) {
        this.address = address;
        this.datacenter = datacenter;
        this.tag = tag;
    }

    /** Returns a worker at {@code host:port}; the document's networks say where it is. */
    public static Worker at(String address) {
        return new Worker(address, null, null);
    }

    /** Returns this worker with its datacenter. */
    public Worker in(String name) {
        return new Worker(address, name, tag);
    }

    /** Returns this worker with tags, separated by commas; one may be its datacenter. */
    public Worker tagged(String tags) {
        return new Worker(address, datacenter, tags);
    }

    public String address() {
        return address;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Worker && Objects.equals(address, ((Worker) other).address)
                && Objects.equals(datacenter, ((Worker) other).datacenter) && Objects.equals(tag, ((Worker) other).tag);
    }

    @Override
    public int hashCode() {
        return Objects.hash(address, datacenter, tag);
    }

    @Override
    public String toString() {
        return address;
    }
}
