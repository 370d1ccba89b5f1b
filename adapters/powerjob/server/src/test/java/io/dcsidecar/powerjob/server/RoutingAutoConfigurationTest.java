package io.dcsidecar.powerjob.server;

import static io.dcsidecar.client.Fixtures.eventually;
import static io.dcsidecar.powerjob.server.Fixtures.addresses;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dcsidecar.client.FakeSidecar;
import io.dcsidecar.client.RoutingClient;
import io.dcsidecar.client.RoutingEpoch;
import io.dcsidecar.client.RoutingMeters;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Proxy;
import java.net.URL;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Scanner;
import java.util.stream.Collectors;
import javax.management.ObjectName;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.Banner;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.EnableAspectJAutoProxy;
import org.springframework.context.annotation.Import;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.core.DispatchService;
import tech.powerjob.server.persistence.remote.model.AppInfoDO;
import tech.powerjob.server.persistence.remote.model.InstanceInfoDO;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;
import tech.powerjob.server.remote.worker.WorkerClusterManagerService;
import tech.powerjob.server.remote.worker.WorkerClusterQueryService;
import tech.powerjob.server.remote.worker.filter.DesignatedWorkerFilter;
import tech.powerjob.server.remote.worker.filter.DisconnectedWorkerFilter;
import tech.powerjob.server.remote.worker.filter.SystemMetricsWorkerFilter;

/** The adapter in a Spring Boot application with PowerJob's own worker selection. */
class RoutingAutoConfigurationTest {
    private final FakeSidecar fake = new FakeSidecar();
    private ConfigurableApplicationContext context;

    @BeforeEach
    void heartbeats() {
        heartbeat("10.0.0.1:27777", "dc1");
        heartbeat("10.0.0.2:27777", "dc2");
        heartbeat("10.0.0.3:27777", "dc1");
    }

    @AfterEach
    void close() {
        WorkerClusterManagerService.clean(Collections.emptyList());
        if (context != null) {
            context.close();
        }
        fake.close();
    }

    @Test
    @DisplayName("The aspect decides once per dispatch, before the job's worker limit is applied")
    void aspect() {
        boot();
        switchTo("dc2");
        JobInfoDO job = job();
        job.setMaxWorkerCount(1);
        assertEquals(addresses(2), addresses(select(job)));
        assertEquals(addresses(2), addresses(select(job)));
        assertEquals(1, dispatches().size());
        assertEquals(3, dispatches().get(0).getCandidatesCount());
        assertEquals("billing", dispatches().get(0).getApp());
        assertEquals(1, job.getMaxWorkerCount());
    }

    @Test
    @DisplayName("The plain filter alone gives the same result, with one request for all candidates")
    void plainFilter() {
        boot("--dc-sidecar.aspect=false");
        JobInfoDO job = job();
        assertEquals(sorted(addresses(1, 3)), sorted(addresses(select(job))));
        assertEquals(sorted(addresses(1, 3)), sorted(addresses(select(job))));
        assertEquals(1, dispatches().size());
        assertEquals(3, dispatches().get(0).getCandidatesCount());
    }

    @Test
    @DisplayName("Only workers that pass PowerJob's own filters are candidates, with the aspect and without")
    void designatedWorkers() {
        for (String aspect : new String[] {"true", "false"}) {
            boot("--dc-sidecar.aspect=" + aspect);
            JobInfoDO job = job();
            job.setDesignatedWorkers("10.0.0.3:27777,10.0.0.2:27777");
            assertEquals(addresses(3), addresses(select(job)));
            assertEquals(2, dispatches().get(dispatches().size() - 1).getCandidatesCount());
            context.close();
        }
    }

    @Test
    @DisplayName("hold: a dispatch without an allowed worker sees an overloaded placeholder, so PowerJob lets the instance wait")
    void hold() {
        boot("--dc-sidecar.on-no-worker=hold");
        switchTo("dc9");
        List<WorkerInfo> seen = dispatch(null);
        assertEquals(1, seen.size());
        assertTrue(seen.get(0).overload());
        assertFalse(addresses(1, 2, 3).contains(seen.get(0).getAddress()));
    }

    @Test
    @DisplayName("hold: ends when the instance is overdue for longer than hold-for")
    void holdEnds() {
        boot("--dc-sidecar.on-no-worker=hold", "--dc-sidecar.hold-for=1m");
        switchTo("dc9");
        InstanceInfoDO instance = new InstanceInfoDO();
        instance.setExpectedTriggerTime(System.currentTimeMillis() - 59_000);
        assertEquals(1, dispatch(instance).size());
        instance.setExpectedTriggerTime(System.currentTimeMillis() - 61_000);
        assertEquals(0, dispatch(instance).size());
    }

    @Test
    @DisplayName("hold: a running job that looks for more workers sees none, not the placeholder")
    void holdOnlyInDispatch() {
        boot("--dc-sidecar.on-no-worker=hold");
        switchTo("dc9");
        assertEquals(0, select(job()).size());
    }

    @Test
    @DisplayName("The server starts and jobs run whatever is wrong with the sidecar or the settings")
    void startsWithInvalidSettings() {
        fake.kill();
        for (String wrong : new String[] {"target=nowhere.invalid:1", "target=:::", "target=unix:/does/not/exist", "timeout=soon",
            "tls.ca=/does/not/exist", "tls.certificate=/does/not/exist", "on-no-worker=perhaps"}) {
            run("--dc-sidecar." + wrong, "--dc-sidecar.state-dir=off");
            assertEquals(3, select(job()).size(), wrong);
            context.close();
        }
    }

    @Test
    @DisplayName("dc-sidecar.enabled=false disables the adapter completely")
    void disabled() {
        boot("--dc-sidecar.enabled=false");
        assertEquals(3, select(job()).size());
        assertEquals(0, context.getBeanNamesForType(RoutingFilter.class).length);
    }

    @Test
    @DisplayName("JMX and Micrometer count decisions by origin")
    void metrics() throws Exception {
        boot();
        select(job());
        select(job());
        ObjectName name = new ObjectName("io.dcsidecar:type=Routing");
        assertEquals(1L, ManagementFactory.getPlatformMBeanServer().getAttribute(name, "DecisionsFromSidecar"));
        assertEquals(1L, ManagementFactory.getPlatformMBeanServer().getAttribute(name, "DecisionsFromMemory"));
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        context.getBean(RoutingMeters.class).bindTo(registry);
        assertEquals(1, counted(registry, "memory"));
        assertEquals(1, counted(registry, "sidecar"));
        assertEquals(0, counted(registry, "open"));
        assertEquals(1, registry.get("dc.sidecar.watching").gauge().value());
    }

    @Test
    @DisplayName("dc-sidecar.metrics serves the same figures in Prometheus' format")
    void prometheus() throws Exception {
        boot("--dc-sidecar.metrics=127.0.0.1:0");
        select(job());
        select(job());
        int port = context.getBean(RoutingClient.class).metricsPort();
        try (Scanner scraped = new Scanner(new URL("http://127.0.0.1:" + port + "/metrics").openStream(), "UTF-8").useDelimiter("\\A")) {
            String text = scraped.next();
            assertTrue(text.contains("\ndc_sidecar_decisions_total{origin=\"memory\"} 1\n"), text);
            assertTrue(text.contains("\ndc_sidecar_decisions_total{origin=\"last_known\"} 0\n"), text);
            assertTrue(text.contains("\n# TYPE dc_sidecar_outages_total counter\ndc_sidecar_outages_total 0\n"), text);
            assertTrue(text.contains("\ndc_sidecar_watching 1\n"), text);
        }
    }

    private static double counted(MeterRegistry registry, String origin) {
        return registry.get("dc.sidecar.decisions").tag("origin", origin).functionCounter().count();
    }

    /** Returns the requests for dispatches, without those that warm up. */
    private List<FilterWorkersRequest> dispatches() {
        return fake.requests.stream().filter(FilterWorkersRequest::getDispatch).collect(Collectors.toList());
    }

    private void boot(String... arguments) {
        String[] all = Arrays.copyOf(arguments, arguments.length + 2);
        all[arguments.length] = "--dc-sidecar.target=" + fake.target();
        all[arguments.length + 1] = "--dc-sidecar.state-dir=off";
        run(all);
        if (context.containsBean("dcSidecarClient")) {
            eventually("the watch is up", () -> context.getBean(RoutingClient.class).epoch() != null);
        }
    }

    private void run(String... arguments) {
        context = new SpringApplicationBuilder(Server.class).web(WebApplicationType.NONE).bannerMode(Banner.Mode.OFF).run(arguments);
    }

    private void switchTo(String datacenter) {
        RoutingClient<?, ?> sidecar = context.getBean(RoutingClient.class);
        RoutingEpoch previous = sidecar.epoch();
        fake.switchTo(datacenter);
        eventually("the switch arrives", () -> sidecar.epoch() != previous);
    }

    private List<WorkerInfo> select(JobInfoDO job) {
        return context.getBean(WorkerClusterQueryService.class).geAvailableWorkers(job);
    }

    private List<WorkerInfo> dispatch(InstanceInfoDO instance) {
        DispatchService dispatching = context.getBean(DispatchService.class);
        dispatching.dispatch(job(), 1L, Optional.ofNullable(instance), Optional.empty());
        return dispatching.seen();
    }

    private static JobInfoDO job() {
        JobInfoDO job = Fixtures.job(1);
        job.setMinCpuCores(0);
        return job;
    }

    private static void heartbeat(String address, String extra) {
        WorkerClusterManagerService.updateStatus(Fixtures.heartbeat(7L, address, extra));
    }

    private static List<String> sorted(List<String> addresses) {
        addresses.sort(null);
        return addresses;
    }

    /** The beans of a stock server that worker selection uses. */
    @EnableAspectJAutoProxy(proxyTargetClass = true)
    @ImportAutoConfiguration(RoutingAutoConfiguration.class)
    @Import({WorkerClusterQueryService.class, DispatchService.class, DesignatedWorkerFilter.class, DisconnectedWorkerFilter.class,
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
