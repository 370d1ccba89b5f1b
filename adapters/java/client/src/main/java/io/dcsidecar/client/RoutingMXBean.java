package io.dcsidecar.client;

/** The client's metrics in JMX, under {@code io.dcsidecar:type=Routing}. */
public interface RoutingMXBean {
    /** Whether the watch is up, and cached answers are therefore valid. */
    boolean isWatching();

    /** Whether runs are being decided without the sidecar. */
    boolean isAway();

    /** Revision of the routing document in force; empty without a watch. */
    String getRevision();

    /** Generation of the sidecar that cached answers belong to; 0 without a watch. */
    long getGeneration();

    /** Decisions from a cached answer that was still valid. */
    long getDecisionsFromMemory();

    /** Decisions by a call to the sidecar. */
    long getDecisionsFromSidecar();

    /** Decisions by the last answer for the job, while the sidecar was unreachable. */
    long getDecisionsFromLastAnswer();

    /** Decisions without an answer, by the last known routes and outages. */
    long getDecisionsFromLastKnownRoutes();

    /** Episodes in which runs were decided without the sidecar. */
    long getOutages();

    /** Decisions that the sidecar did not answer in time. */
    long getUnanswered();

    /** Answers fetched in the background. */
    long getPrefetched();

    /** Decisions without an answer that allowed every worker. */
    long getDecisionsOpen();

    /** Decisions without an answer that allowed no worker. */
    long getDecisionsClosed();

    /** Dispatches held because no worker may run the job. */
    long getHeld();

    /** Decisions that left no worker. */
    long getWithoutWorkers();
}
