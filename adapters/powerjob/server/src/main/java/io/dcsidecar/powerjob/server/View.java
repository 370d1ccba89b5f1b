package io.dcsidecar.powerjob.server;

/**
 * A stretch of time in which nothing that could change a decision changed in the sidecar, as {@code WatchRoutes} tells it.
 *
 * <p>Two views are never equal, even at one generation number: a sidecar that restarts counts from the beginning.
 */
final class View {
    final long generation;
    final String revision;
    final boolean stale;
    private volatile long endedAt;

    View(long generation, String revision, boolean stale) {
        this.generation = generation;
        this.revision = revision;
        this.stale = stale;
    }

    /** Marks that from now on decisions may differ, or that nobody can tell. */
    void end() {
        if (endedAt == 0) {
            endedAt = Clock.now();
        }
    }

    /** Tells when an answer of this view was last known to hold, on the clock of {@link Clock}. */
    long holdsUntil() {
        long ended = endedAt;
        return ended == 0 ? Clock.now() : ended;
    }
}
