package io.dcsidecar.powerjob.server;

import io.dcsidecar.powerjob.server.Counters.Origin;
import java.lang.management.ManagementFactory;
import javax.management.JMException;
import javax.management.ObjectName;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Shows the adapter's figures in JMX for as long as it is open. */
final class RoutingJmx implements RoutingMXBean, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RoutingJmx.class);
    private static final String NAME = "io.dcsidecar:type=Routing";

    private final Sidecar sidecar;
    private final Router router;
    private final Counters counters;

    RoutingJmx(Sidecar sidecar, Router router, Counters counters) {
        this.sidecar = sidecar;
        this.router = router;
        this.counters = counters;
        try {
            ManagementFactory.getPlatformMBeanServer().registerMBean(this, new ObjectName(NAME));
        } catch (JMException taken) {
            LOG.warn("No figures in JMX: {}", taken.toString());
        }
    }

    @Override
    public void close() {
        try {
            ManagementFactory.getPlatformMBeanServer().unregisterMBean(new ObjectName(NAME));
        } catch (JMException gone) {
            LOG.debug("Not in JMX: {}", gone.toString());
        }
    }

    @Override
    public boolean isWatching() {
        return sidecar.view() != null;
    }

    @Override
    public boolean isAway() {
        return router.away();
    }

    @Override
    public String getRevision() {
        View view = sidecar.view();
        return view == null ? "" : view.revision;
    }

    @Override
    public long getGeneration() {
        View view = sidecar.view();
        return view == null ? 0 : view.generation;
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
    public long getDecisionsOpen() {
        return counters.decisions(Origin.OPEN);
    }

    @Override
    public long getDecisionsClosed() {
        return counters.decisions(Origin.CLOSED);
    }

    @Override
    public long getHeld() {
        return counters.heldCount();
    }

    @Override
    public long getWithoutWorkers() {
        return counters.withoutWorkersCount();
    }
}
