package io.dcsidecar.client;

import java.util.Objects;

/** A job of an application, for schedulers without a type of their own. Immutable. */
public final class Job {
    final String app;
    final String id;

    public Job(String app, String id) {
        this.app = app;
        this.id = id;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Job && app.equals(((Job) other).app) && id.equals(((Job) other).id);
    }

    @Override
    public int hashCode() {
        return Objects.hash(app, id);
    }

    @Override
    public String toString() {
        return app + "/" + id;
    }
}
