package io.dcsidecar.powerjob.server;

import java.util.Locale;
import java.util.concurrent.atomic.LongAdder;

/** Counts decisions by origin, held dispatches, and decisions that left no worker. */
final class DecisionCounters {
    /** Where a decision came from. */
    enum Origin {
        /** A cached answer that is still valid. */
        MEMORY,
        /** A call to the sidecar. */
        SIDECAR,
        /** The last answer for the job, while the sidecar is unreachable. */
        LAST_ANSWER,
        /** No answer: every worker allowed. */
        OPEN,
        /** No answer: no worker allowed. */
        CLOSED;

        /** The value of the metric's {@code origin} tag. */
        final String tag = name().toLowerCase(Locale.ROOT);
    }

    private final LongAdder[] decisions = new LongAdder[Origin.values().length];
    private final LongAdder held = new LongAdder();
    private final LongAdder withoutWorkers = new LongAdder();

    DecisionCounters() {
        for (Origin origin : Origin.values()) {
            decisions[origin.ordinal()] = new LongAdder();
        }
    }

    void countDecision(Origin origin) {
        decisions[origin.ordinal()].increment();
    }

    void countHeld() {
        held.increment();
    }

    void countWithoutWorkers() {
        withoutWorkers.increment();
    }

    long decisions(Origin origin) {
        return decisions[origin.ordinal()].sum();
    }

    /** Returns the number of dispatches held because no worker may run the job. */
    long held() {
        return held.sum();
    }

    /** Returns the number of decisions that left no worker. */
    long withoutWorkers() {
        return withoutWorkers.sum();
    }
}
