package io.dcsidecar.client;

/** Nanoseconds since this class was loaded, at least 1, never decreasing. */
final class MonotonicClock {
    private static final long START = System.nanoTime() - 1;

    private MonotonicClock() {}

    static long now() {
        return System.nanoTime() - START;
    }
}
