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

/** Joins a PowerJob server to the sidecar by lying on its class path; {@code dc-sidecar.enabled=false} switches it off. */
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
    Counters dcSidecarCounters() {
        return new Counters();
    }

    @Bean(initMethod = "start")
    Sidecar dcSidecar(Settings settings, ObjectProvider<LoggingSystem> logging) {
        // Netty warns at each attempt to connect to a Unix socket that such have no keep-alive.
        logging.ifAvailable(system -> system.setLogLevel("io.grpc.netty.shaded.io.netty.bootstrap.Bootstrap", LogLevel.ERROR));
        return new Sidecar(() -> Channels.open(settings), settings.timeout.toNanos());
    }

    @Bean
    Router dcSidecarRouter(Settings settings, Sidecar sidecar, ObjectProvider<AppInfoRepository> apps, Counters counters) {
        return new Router(settings, sidecar, new AppNames(apps)::of, counters);
    }

    @Bean
    @Order(Ordered.LOWEST_PRECEDENCE)
    RoutingFilter dcSidecarFilter(Router router, ObjectProvider<WorkerClusterQueryService> clusters,
            ObjectProvider<WorkerFilter> filters) {
        return new RoutingFilter(router, clusters, filters);
    }

    @Bean
    RoutingJmx dcSidecarJmx(Sidecar sidecar, Router router, Counters counters) {
        return new RoutingJmx(sidecar, router, counters);
    }

    @Bean
    StartReport dcSidecarStartReport(Settings settings) {
        return new StartReport(settings);
    }

    /** {@code dc-sidecar.aspect=false} leaves the decision to the plain filter. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.aspectj.lang.annotation.Aspect")
    @ConditionalOnProperty(prefix = "dc-sidecar", name = "aspect", matchIfMissing = true)
    static class Aspects {
        @Bean
        ChoiceAspect dcSidecarChoiceAspect(Settings settings, Router router, Counters counters) {
            return new ChoiceAspect(new Gate(settings, router, counters));
        }

        @Bean
        DispatchAspect dcSidecarDispatchAspect() {
            return new DispatchAspect();
        }
    }

    /** Only where the server brings its actuator. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "io.micrometer.core.instrument.binder.MeterBinder")
    static class Meters {
        @Bean
        RoutingMeters dcSidecarMeters(Sidecar sidecar, Router router, Counters counters) {
            return new RoutingMeters(sidecar, router, counters);
        }
    }
}
