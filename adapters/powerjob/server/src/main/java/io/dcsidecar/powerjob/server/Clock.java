package io.dcsidecar.powerjob.server;

/** Nanoseconds since this class was loaded, 1 or more; never goes back. */
final class Clock {
    private static final long START = System.nanoTime() - 1;

    private Clock() {}

    static long now() {
        return System.nanoTime() - START;
    }
}
