package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.RoutingClient;
import java.lang.reflect.Proxy;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.EnableAspectJAutoProxy;
import org.springframework.context.annotation.Import;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.common.request.WorkerHeartbeat;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.AppInfoDO;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;
import tech.powerjob.server.remote.worker.WorkerClusterManagerService;
import tech.powerjob.server.remote.worker.WorkerClusterQueryService;
import tech.powerjob.server.remote.worker.filter.DesignatedWorkerFilter;
import tech.powerjob.server.remote.worker.filter.DisconnectedWorkerFilter;
import tech.powerjob.server.remote.worker.filter.SystemMetricsWorkerFilter;

/**
 * Measures PowerJob's worker selection for one dispatch: without the adapter, with a cached answer, and with a call to the sidecar
 * at {@code dc-sidecar.target}. The job has a worker limit, which is the more expensive case.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 3, time = 3)
public class WorkerSelectionBenchmark {
    @Param({"3", "100", "1000"})
    public int workers;

    @Param({"without", "memory", "sidecar"})
    public String adapter;

    private ConfigurableApplicationContext context;
    private WorkerClusterQueryService service;
    private JobInfoDO job;

    @Setup(Level.Trial)
    public void start() throws InterruptedException {
        for (int number = 0; number < workers; number++) {
            WorkerClusterManagerService.updateStatus(heartbeat(number));
        }
        context = new SpringApplicationBuilder(Server.class).web(WebApplicationType.NONE)
                .run("--dc-sidecar.enabled=" + !adapter.equals("without"), "--logging.level.root=error");
        service = context.getBean(WorkerClusterQueryService.class);
        job = new JobInfoDO();
        job.setId(1L);
        job.setAppId(7L);
        job.setMaxWorkerCount(10);
        if (!adapter.equals("without")) {
            while (context.getBean(RoutingClient.class).epoch() == null) {
                Thread.sleep(10);
            }
        }
    }

    @TearDown(Level.Trial)
    public void stop() {
        context.close();
        WorkerClusterManagerService.clean(Collections.emptyList());
    }

    @Benchmark
    public List<WorkerInfo> select() {
        if (adapter.equals("sidecar")) {
            job.setId(job.getId() + 1);
        }
        return service.geAvailableWorkers(job);
    }

    private static WorkerHeartbeat heartbeat(int number) {
        SystemMetrics metrics = new SystemMetrics();
        metrics.setJvmMaxMemory(1);
        metrics.setExtra(number % 2 == 0 ? "dc1" : "dc2");
        WorkerHeartbeat heartbeat = new WorkerHeartbeat();
        heartbeat.setAppId(7L);
        heartbeat.setAppName("billing");
        heartbeat.setWorkerAddress("10." + number % 2 + "." + number / 250 + "." + (1 + number % 250) + ":27777");
        heartbeat.setHeartbeatTime(System.currentTimeMillis() + TimeUnit.HOURS.toMillis(1));
        heartbeat.setSystemMetrics(metrics);
        return heartbeat;
    }

    /** The beans of a stock server that worker selection uses. */
    @EnableAspectJAutoProxy(proxyTargetClass = true)
    @ImportAutoConfiguration(RoutingAutoConfiguration.class)
    @Import({WorkerClusterQueryService.class, DesignatedWorkerFilter.class, DisconnectedWorkerFilter.class,
        SystemMetricsWorkerFilter.class})
    static class Server {
        @Bean
        AppInfoRepository apps() {
            AppInfoDO app = new AppInfoDO();
            app.setAppName("billing");
            return (AppInfoRepository) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {AppInfoRepository.class},
                    (proxy, method, arguments) -> method.getName().equals("findById") ? Optional.of(app)
                            : method.invoke(app, arguments));
        }
    }
}
