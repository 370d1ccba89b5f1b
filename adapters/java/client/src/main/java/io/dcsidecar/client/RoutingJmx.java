package io.dcsidecar.client;

import io.dcsidecar.client.DecisionCounters.Origin;
import java.lang.management.ManagementFactory;
import javax.management.JMException;
import javax.management.ObjectName;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Exposes the client's metrics in JMX until closed. */
final class RoutingJmx implements RoutingMXBean, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RoutingJmx.class);
    private static final String NAME = "io.dcsidecar:type=Routing";

    private final SidecarClient sidecar;
    private final Router<?, ?> router;
    private final DecisionCounters counters;

    RoutingJmx(SidecarClient sidecar, Router<?, ?> router, DecisionCounters counters) {
        this.sidecar = sidecar;
        this.router = router;
        this.counters = counters;
        try {
            ManagementFactory.getPlatformMBeanServer().registerMBean(this, new ObjectName(NAME));
        } catch (JMException failed) {
            LOG.warn("JMX metrics unavailable: {}", failed.toString());
        }
    }

    @Override
    public void close() {
        try {
            ManagementFactory.getPlatformMBeanServer().unregisterMBean(new ObjectName(NAME));
        } catch (JMException failed) {
            LOG.debug("Cannot unregister from JMX: {}", failed.toString());
        }
    }

    @Override
    public boolean isWatching() {
        return sidecar.epoch() != null;
    }

    @Override
    public boolean isAway() {
        return router.isSidecarAway();
    }

    @Override
    public String getRevision() {
        RoutingEpoch epoch = sidecar.epoch();
        return epoch == null ? "" : epoch.revision;
    }

    @Override
    public long getGeneration() {
        RoutingEpoch epoch = sidecar.epoch();
        return epoch == null ? 0 : epoch.generation;
    }

    @Override
    public long getDecisionsFromMemory() {
        return counters.decisions(Origin.MEMORY);
    }

    @Override
    public long getDecisionsFromSidecar() {
        return counters.decisions(Origin.SIDECAR);
    }

    @Override
    public long getDecisionsFromLastAnswer() {
        return counters.decisions(Origin.LAST_ANSWER);
    }

    @Override
    public long getDecisionsFromLastKnownRoutes() {
        return counters.decisions(Origin.LAST_KNOWN);
    }

    @Override
    public long getOutages() {
        return router.outages();
    }

    @Override
    public long getUnanswered() {
        return counters.unanswered();
    }

    @Override
    public long getPrefetched() {
        return counters.prefetched();
    }

    @Override
    public long getDecisionsOpen() {
        return counters.decisions(Origin.OPEN);
    }

    @Override
    public long getDecisionsClosed() {
        return counters.decisions(Origin.CLOSED);
    }

    @Override
    public long getHeld() {
        return counters.held();
    }

    @Override
    public long getWithoutWorkers() {
        return counters.withoutWorkers();
    }
}
