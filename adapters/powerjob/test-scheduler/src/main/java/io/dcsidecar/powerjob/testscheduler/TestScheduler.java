package io.dcsidecar.powerjob.testscheduler;

import java.util.List;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.ComponentScan.Filter;
import org.springframework.context.annotation.FilterType;
import org.springframework.context.annotation.Import;
import org.springframework.core.task.AsyncTaskExecutor;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.annotation.EnableAsync;
import org.springframework.scheduling.annotation.EnableScheduling;
import org.springframework.scheduling.concurrent.ThreadPoolTaskExecutor;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import tech.powerjob.server.auth.jwt.impl.DefaultSecretProvider;
import tech.powerjob.server.auth.jwt.impl.JwtServiceImpl;
import tech.powerjob.server.common.aware.ServerInfoAware;
import tech.powerjob.server.common.constants.PJThreadPool;
import tech.powerjob.server.common.module.ServerInfo;
import tech.powerjob.server.remote.aware.TransportServiceAware;
import tech.powerjob.server.remote.server.self.ServerInfoService;
import tech.powerjob.server.remote.transporter.TransportService;

/** PowerJob's scheduler core with the parts of its starter: thread pools, wiring, and the HTTP API for workers and tests. */
@EnableAsync
@EnableScheduling
@SpringBootConfiguration
@EnableAutoConfiguration
@ComponentScan(basePackages = {"tech.powerjob.server", "io.dcsidecar.powerjob.testscheduler"},
        excludeFilters = @Filter(type = FilterType.REGEX, pattern = "tech\\.powerjob\\.server\\.auth\\..*"))
@Import({JwtServiceImpl.class, DefaultSecretProvider.class})
public class TestScheduler {
    public static void main(String[] arguments) {
        SpringApplication.run(TestScheduler.class, arguments);
    }

    @Bean(PJThreadPool.TIMING_POOL)
    AsyncTaskExecutor timingPool() {
        return pool("timing-", 4);
    }

    @Bean(PJThreadPool.BACKGROUND_POOL)
    AsyncTaskExecutor backgroundPool() {
        return pool("background-", 8);
    }

    @Bean(PJThreadPool.LOCAL_DB_POOL)
    AsyncTaskExecutor localDatabasePool() {
        return pool("local-db-", 2);
    }

    @Bean
    TaskScheduler taskScheduler() {
        ThreadPoolTaskScheduler scheduler = new ThreadPoolTaskScheduler();
        scheduler.setPoolSize(16);
        scheduler.setThreadNamePrefix("scheduled-");
        scheduler.setDaemon(true);
        return scheduler;
    }

    /** Injects the beans that PowerJob requests through its "aware" interfaces. */
    @Bean
    Object awareness(TransportService transport, List<TransportServiceAware> transportAware, ServerInfoService servers,
            List<ServerInfoAware> serverAware) {
        ServerInfo self = servers.fetchCurrentServerInfo();
        transportAware.forEach(aware -> aware.setTransportService(transport));
        serverAware.forEach(aware -> aware.setServerInfo(self));
        return new Object();
    }

    private static AsyncTaskExecutor pool(String prefix, int size) {
        ThreadPoolTaskExecutor executor = new ThreadPoolTaskExecutor();
        executor.setCorePoolSize(size);
        executor.setMaxPoolSize(4 * size);
        executor.setQueueCapacity(1024);
        executor.setThreadNamePrefix(prefix);
        executor.setDaemon(true);
        return executor;
    }
}
