package io.dcsidecar.client;

/**
 * A span of time in which the sidecar's decisions could not change, as reported by {@code WatchRoutes}.
 *
 * <p>Epochs are compared by identity, not by generation: a restarted sidecar counts generations from 1 again.
 */
public final class RoutingEpoch {
    final long generation;
    final String revision;
    final boolean stale;
    private volatile long endedAt;

    RoutingEpoch(long generation, String revision, boolean stale) {
        this.generation = generation;
        this.revision = revision;
        this.stale = stale;
    }

    /** Ends the epoch: from now on decisions may differ, or the watch is lost. */
    void end() {
        if (endedAt == 0) {
            endedAt = MonotonicClock.now();
        }
    }

    /** Returns when answers of this epoch were last known to be valid, on {@link MonotonicClock}. */
    long confirmedUntil() {
        long ended = endedAt;
        return ended == 0 ? MonotonicClock.now() : ended;
    }
}
