package io.dcsidecar.powerjob.server;

import java.util.Locale;
import java.util.concurrent.atomic.LongAdder;

/** Counts where decisions came from. */
final class Counters {
    /** Where the decision for one dispatch came from. */
    enum Origin {
        /** Remembered, and still what the sidecar would say. */
        MEMORY,
        /** Asked just now. */
        SIDECAR,
        /** Remembered from before the sidecar went away. */
        LAST_ANSWER,
        /** No answer: every worker. */
        OPEN,
        /** No answer: no worker. */
        CLOSED;

        /** As a metric's tag. */
        final String tag = name().toLowerCase(Locale.ROOT);
    }

    private final LongAdder[] decisions = new LongAdder[Origin.values().length];
    private final LongAdder held = new LongAdder();
    private final LongAdder withoutWorkers = new LongAdder();

    Counters() {
        for (Origin origin : Origin.values()) {
            decisions[origin.ordinal()] = new LongAdder();
        }
    }

    void decided(Origin origin) {
        decisions[origin.ordinal()].increment();
    }

    void held() {
        held.increment();
    }

    void withoutWorkers() {
        withoutWorkers.increment();
    }

    long decisions(Origin origin) {
        return decisions[origin.ordinal()].sum();
    }

    /** Dispatches put off because no worker may run the job. */
    long heldCount() {
        return held.sum();
    }

    /** Decisions after which no worker was left. */
    long withoutWorkersCount() {
        return withoutWorkers.sum();
    }
}
