package io.dcsidecar.powerjob.server;

/** The adapter as JMX shows it, under {@code io.dcsidecar:type=Routing}. */
public interface RoutingMXBean {
    /** Whether the sidecar is watched, so that remembered answers hold. */
    boolean isWatching();

    /** Whether the last question went without an answer. */
    boolean isAway();

    /** Digest of the routing document in force, empty while not watching. */
    String getRevision();

    long getGeneration();

    long getDecisionsFromMemory();

    long getDecisionsFromSidecar();

    long getDecisionsFromLastAnswer();

    /** Dispatches that went without an answer and were let through to every worker. */
    long getDecisionsOpen();

    /** Dispatches that went without an answer and were let through to no worker. */
    long getDecisionsClosed();

    /** Dispatches that were put off because no worker may run the job. */
    long getHeld();

    /** Decisions after which no worker was left. */
    long getWithoutWorkers();
}
