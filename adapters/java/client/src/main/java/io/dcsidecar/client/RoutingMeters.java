package io.dcsidecar.client;

import io.dcsidecar.client.DecisionCounters.Origin;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;

/** Exposes a client's metrics through Micrometer, which must be on the class path. */
public final class RoutingMeters implements MeterBinder {
    private final RoutingClient<?, ?> client;

    public RoutingMeters(RoutingClient<?, ?> client) {
        this.client = client;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        for (Origin origin : Origin.values()) {
            FunctionCounter.builder("dc.sidecar.decisions", client.counters, counts -> counts.decisions(origin)).tag("origin", origin.tag)
                    .description("Decisions by origin").register(registry);
        }
        FunctionCounter.builder("dc.sidecar.held", client.counters, DecisionCounters::held)
                .description("Dispatches held because no worker may run the job").register(registry);
        FunctionCounter.builder("dc.sidecar.without.workers", client.counters, DecisionCounters::withoutWorkers)
                .description("Decisions that left no worker").register(registry);
        FunctionCounter.builder("dc.sidecar.outages", client.router, Router::outages)
                .description("Episodes in which runs were decided without the sidecar").register(registry);
        FunctionCounter.builder("dc.sidecar.unanswered", client.counters, DecisionCounters::unanswered)
                .description("Decisions that the sidecar did not answer in time").register(registry);
        FunctionCounter.builder("dc.sidecar.prefetched", client.counters, DecisionCounters::prefetched)
                .description("Answers fetched in the background").register(registry);
        Gauge.builder("dc.sidecar.away", client.router, router -> router.isSidecarAway() ? 1 : 0)
                .description("1 while runs are decided without the sidecar").register(registry);
        Gauge.builder("dc.sidecar.generation", client, RoutingMeters::generation)
                .description("Generation of the sidecar that cached answers belong to; 0 without a watch").register(registry);
        Gauge.builder("dc.sidecar.watching", client, watched -> watched.epoch() == null ? 0 : 1)
                .description("1 while the watch is up and cached answers are valid").register(registry);
    }

    private static long generation(RoutingClient<?, ?> client) {
        RoutingEpoch epoch = client.epoch();
        return epoch == null ? 0 : epoch.generation;
    }
}
