package io.dcsidecar.powerjob.server;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.logging.LogLevel;
import org.springframework.boot.logging.LoggingSystem;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.core.env.Environment;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;
import tech.powerjob.server.remote.worker.WorkerClusterQueryService;
import tech.powerjob.server.remote.worker.filter.WorkerFilter;

/** Connects a PowerJob server to the sidecar when on its class path; {@code dc-sidecar.enabled=false} disables it. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnClass(name = {
    "tech.powerjob.server.remote.worker.filter.WorkerFilter",
    "tech.powerjob.server.common.module.WorkerInfo",
    "tech.powerjob.server.persistence.remote.model.JobInfoDO",
    "tech.powerjob.server.persistence.remote.repository.AppInfoRepository"
})
@ConditionalOnProperty(prefix = "dc-sidecar", name = "enabled", matchIfMissing = true)
public class RoutingAutoConfiguration {
    @Bean
    static Settings dcSidecarSettings(Environment environment) {
        return new Settings(environment);
    }

    @Bean
    DecisionCounters dcSidecarCounters() {
        return new DecisionCounters();
    }

    @Bean(initMethod = "start")
    SidecarClient dcSidecarClient(Settings settings, RouteMemory memory, OutageLog outage, ObjectProvider<LoggingSystem> logging) {
        // Netty warns at every connection attempt that Unix sockets have no keep-alive.
        logging.ifAvailable(system -> system.setLogLevel("io.grpc.netty.shaded.io.netty.bootstrap.Bootstrap", LogLevel.ERROR));
        SidecarClient sidecar = new SidecarClient(() -> ChannelFactory.open(settings), settings.timeout.toNanos());
        sidecar.addListener(memory);
        sidecar.addListener(outage);
        return sidecar;
    }

    @Bean(initMethod = "load")
    RouteMemory dcSidecarRouteMemory(Settings settings) {
        return new RouteMemory(settings.stateDir == null ? null : new RouteFile(settings.stateDir, settings.target));
    }

    @Bean
    OutageLog dcSidecarOutageLog() {
        return new OutageLog();
    }

    @Bean
    Router dcSidecarRouter(Settings settings, SidecarClient sidecar, RouteMemory memory, OutageLog outage,
            ObjectProvider<AppInfoRepository> apps, DecisionCounters counters) {
        return new Router(settings, sidecar, memory, outage, new AppNameCache(apps)::nameOf, counters);
    }

    @Bean
    Prefetcher dcSidecarPrefetcher(SidecarClient sidecar, Router router, RoutingFilter filter) {
        Prefetcher prefetcher = new Prefetcher(sidecar, router, filter::candidates);
        sidecar.addListener(prefetcher);
        return prefetcher;
    }

    @Bean
    PrometheusEndpoint dcSidecarPrometheus(Settings settings, SidecarClient sidecar, Router router, DecisionCounters counters) {
        return new PrometheusEndpoint(settings.metrics, sidecar, router, counters);
    }

    @Bean
    @Order(Ordered.LOWEST_PRECEDENCE)
    RoutingFilter dcSidecarFilter(Router router, ObjectProvider<WorkerClusterQueryService> clusters,
            ObjectProvider<WorkerFilter> filters) {
        return new RoutingFilter(router, clusters, filters);
    }

    @Bean
    RoutingJmx dcSidecarJmx(SidecarClient sidecar, Router router, DecisionCounters counters) {
        return new RoutingJmx(sidecar, router, counters);
    }

    @Bean
    StartupReport dcSidecarStartupReport(Settings settings, SidecarClient sidecar) {
        return new StartupReport(settings, sidecar);
    }

    /** Disabled by {@code dc-sidecar.aspect=false}, which leaves the decision to the plain filter. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.aspectj.lang.annotation.Aspect")
    @ConditionalOnProperty(prefix = "dc-sidecar", name = "aspect", matchIfMissing = true)
    static class Aspects {
        @Bean
        WorkerSelectionAspect dcSidecarWorkerSelectionAspect(Settings settings, Router router, DecisionCounters counters) {
            return new WorkerSelectionAspect(new DispatchGate(settings, router, counters));
        }

        @Bean
        DispatchContextAspect dcSidecarDispatchContextAspect() {
            return new DispatchContextAspect();
        }
    }

    /** Only if the server has Micrometer, as the actuator does. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "io.micrometer.core.instrument.binder.MeterBinder")
    static class Meters {
        @Bean
        RoutingMeters dcSidecarMeters(SidecarClient sidecar, Router router, DecisionCounters counters) {
            return new RoutingMeters(sidecar, router, counters);
        }
    }
}
