package io.dcsidecar.client;

import java.util.Locale;
import java.util.concurrent.atomic.LongAdder;

/** Counts decisions by origin, held dispatches, and decisions that left no worker. */
final class DecisionCounters {
    /** Where a decision came from. */
    enum Origin {
        /** A cached answer that is still valid. */
        MEMORY("by a valid answer"),
        /** A call to the sidecar. */
        SIDECAR("by the sidecar"),
        /** The last answer for the job, while the sidecar is unreachable. */
        LAST_ANSWER("by the last answer for the job"),
        /** No answer: the workers that the last known routes and outages allow. */
        LAST_KNOWN("by the last known routes"),
        /** No answer: every worker allowed. */
        OPEN("with every worker allowed"),
        /** No answer: no worker allowed. */
        CLOSED("with no worker allowed");

        /** The value of the metric's {@code origin} tag. */
        final String tag = name().toLowerCase(Locale.ROOT);
        /** For the log. */
        final String description;

        Origin(String description) {
            this.description = description;
        }
    }

    private final LongAdder[] decisions = new LongAdder[Origin.values().length];
    private final LongAdder held = new LongAdder();
    private final LongAdder withoutWorkers = new LongAdder();
    private final LongAdder unanswered = new LongAdder();
    private final LongAdder prefetched = new LongAdder();

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

    void countUnanswered() {
        unanswered.increment();
    }

    void countPrefetched() {
        prefetched.increment();
    }

    /** Returns the number of decisions that the sidecar did not answer in time. */
    long unanswered() {
        return unanswered.sum();
    }

    /** Returns the number of answers fetched in the background. */
    long prefetched() {
        return prefetched.sum();
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
