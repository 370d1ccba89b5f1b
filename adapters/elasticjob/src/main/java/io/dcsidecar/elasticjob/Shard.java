package io.dcsidecar.elasticjob;

import java.util.Objects;

/** A shard of a job of an application. */
final class Shard {
    final String app;
    final String job;
    final int item;

    Shard(String app, String job, int item) {
        this.app = app;
        this.job = job;
        this.item = item;
    }

    /** Returns the id over which the shares of a split are taken under {@code sticky: instance}. */
    String instance() {
        return job + "/" + item;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shard && item == ((Shard) other).item && app.equals(((Shard) other).app)
                && job.equals(((Shard) other).job);
    }

    @Override
    public int hashCode() {
        return Objects.hash(app, job, item);
    }
}
