package io.dcsidecar.powerjob.server;

/** Nanoseconds since this class was loaded; never goes back. */
final class Clock {
    static final long START = System.nanoTime() - 1;

    private Clock() {}

    static long now() {
        return System.nanoTime() - START;
    }
}
