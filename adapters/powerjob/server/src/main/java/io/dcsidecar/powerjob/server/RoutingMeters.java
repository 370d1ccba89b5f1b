package io.dcsidecar.powerjob.server;

import io.dcsidecar.powerjob.server.DecisionCounters.Origin;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;

/** Exposes the adapter's metrics through Micrometer. */
final class RoutingMeters implements MeterBinder {
    private final SidecarClient sidecar;
    private final Router router;
    private final DecisionCounters counters;

    RoutingMeters(SidecarClient sidecar, Router router, DecisionCounters counters) {
        this.sidecar = sidecar;
        this.router = router;
        this.counters = counters;
    }

    private static long generation(SidecarClient sidecar) {
        RoutingEpoch epoch = sidecar.epoch();
        return epoch == null ? 0 : epoch.generation;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        for (Origin origin : Origin.values()) {
            FunctionCounter.builder("dc.sidecar.decisions", counters, counts -> counts.decisions(origin)).tag("origin", origin.tag)
                    .description("Decisions by origin").register(registry);
        }
        FunctionCounter.builder("dc.sidecar.held", counters, DecisionCounters::held)
                .description("Dispatches held because no worker may run the job").register(registry);
        FunctionCounter.builder("dc.sidecar.without.workers", counters, DecisionCounters::withoutWorkers)
                .description("Decisions that left no worker").register(registry);
        FunctionCounter.builder("dc.sidecar.outages", router, Router::outages)
                .description("Episodes in which runs were decided without the sidecar").register(registry);
        FunctionCounter.builder("dc.sidecar.unanswered", counters, DecisionCounters::unanswered)
                .description("Decisions that the sidecar did not answer in time").register(registry);
        FunctionCounter.builder("dc.sidecar.prefetched", counters, DecisionCounters::prefetched)
                .description("Answers fetched in the background").register(registry);
        Gauge.builder("dc.sidecar.away", router, routes -> routes.isSidecarAway() ? 1 : 0)
                .description("1 while runs are decided without the sidecar").register(registry);
        Gauge.builder("dc.sidecar.generation", sidecar, RoutingMeters::generation)
                .description("Generation of the sidecar that cached answers belong to; 0 without a watch").register(registry);
        Gauge.builder("dc.sidecar.watching", sidecar, watched -> watched.epoch() == null ? 0 : 1)
                .description("1 while the watch is up and cached answers are valid").register(registry);
    }
}
