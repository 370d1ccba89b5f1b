package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.RoutingClient;
import io.dcsidecar.client.RoutingMeters;
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
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;
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
    RoutingClient<JobInfoDO, WorkerInfo> dcSidecarClient(Settings settings, ObjectProvider<AppInfoRepository> apps,
            ObjectProvider<LoggingSystem> logging) {
        // Netty warns at every connection attempt that Unix sockets have no keep-alive.
        logging.ifAvailable(system -> system.setLogLevel("io.grpc.netty.shaded.io.netty.bootstrap.Bootstrap", LogLevel.ERROR));
        return new RoutingClient<>(settings.client, new PowerJobTypes(settings.scoreBy, new AppNameCache(apps)::nameOf));
    }

    @Bean
    @Order(Ordered.LOWEST_PRECEDENCE)
    RoutingFilter dcSidecarFilter(RoutingClient<JobInfoDO, WorkerInfo> client, ObjectProvider<WorkerClusterQueryService> clusters,
            ObjectProvider<WorkerFilter> filters) {
        RoutingFilter filter = new RoutingFilter(client, clusters, filters);
        client.prefetch(filter::candidates);
        client.start();
        return filter;
    }

    @Bean
    StartupReport dcSidecarStartupReport(Settings settings, RoutingClient<JobInfoDO, WorkerInfo> client) {
        return new StartupReport(settings, client);
    }

    /** Disabled by {@code dc-sidecar.aspect=false}, which leaves the decision to the plain filter. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.aspectj.lang.annotation.Aspect")
    @ConditionalOnProperty(prefix = "dc-sidecar", name = "aspect", matchIfMissing = true)
    static class Aspects {
        @Bean
        WorkerSelectionAspect dcSidecarWorkerSelectionAspect(Settings settings,
                RoutingClient<JobInfoDO, WorkerInfo> client) {
            return new WorkerSelectionAspect(new DispatchGate(settings, client));
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
        RoutingMeters dcSidecarMeters(RoutingClient<JobInfoDO, WorkerInfo> client) {
            return new RoutingMeters(client);
        }
    }
}
