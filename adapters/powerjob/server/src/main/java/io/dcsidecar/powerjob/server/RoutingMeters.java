package io.dcsidecar.powerjob.server;

import io.dcsidecar.powerjob.server.Counters.Origin;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;

/** Shows the adapter's figures in the server's actuator. */
final class RoutingMeters implements MeterBinder {
    private final Sidecar sidecar;
    private final Router router;
    private final Counters counters;

    RoutingMeters(Sidecar sidecar, Router router, Counters counters) {
        this.sidecar = sidecar;
        this.router = router;
        this.counters = counters;
    }

    private static long generation(Sidecar sidecar) {
        View view = sidecar.view();
        return view == null ? 0 : view.generation;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        for (Origin origin : Origin.values()) {
            FunctionCounter.builder("dc.sidecar.decisions", counters, counts -> counts.decisions(origin)).tag("origin", origin.tag)
                    .description("Choices of workers, by where the decision came from").register(registry);
        }
        FunctionCounter.builder("dc.sidecar.held", counters, Counters::heldCount)
                .description("Dispatches put off because no worker may run the job").register(registry);
        FunctionCounter.builder("dc.sidecar.without.workers", counters, Counters::withoutWorkersCount)
                .description("Choices after which no worker was left").register(registry);
        Gauge.builder("dc.sidecar.away", router, routes -> routes.away() ? 1 : 0)
                .description("1 while the sidecar gives no answers").register(registry);
        Gauge.builder("dc.sidecar.generation", sidecar, RoutingMeters::generation)
                .description("The sidecar's generation that remembered answers are of; 0 while not watching").register(registry);
        Gauge.builder("dc.sidecar.watching", sidecar, watched -> watched.view() == null ? 0 : 1)
                .description("1 while remembered answers are known to hold").register(registry);
    }
}
