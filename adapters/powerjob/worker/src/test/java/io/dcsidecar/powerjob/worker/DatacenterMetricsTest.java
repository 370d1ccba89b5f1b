package io.dcsidecar.powerjob.worker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.worker.PowerJobSpringWorker;
import tech.powerjob.worker.common.PowerJobWorkerConfig;
import tech.powerjob.worker.common.utils.SystemInfoUtils;

class DatacenterMetricsTest {
    @Test
    @DisplayName("PowerJob's own metrics are kept and the datacenter is added")
    void ownMetrics() {
        SystemMetrics metrics = new DatacenterMetrics(SystemInfoUtils::getSystemMetrics, () -> "dc1").collect();
        assertEquals("dc1", metrics.getExtra());
        assertTrue(metrics.getCpuProcessors() > 0);
        assertTrue(metrics.getJvmMaxMemory() > 0);
    }

    @Test
    @DisplayName("An application's own JSON object keeps its members and gains the datacenter")
    void objects() {
        assertEquals("{\"gpu\":0.3,\"datacenter\":\"dc1\"}", extra("{\"gpu\":0.3}", "dc1"));
        assertEquals("{\"datacenter\":\"dc1\"}", extra(" { } ", "dc1"));
    }

    @Test
    @DisplayName("An application's own plain text is left unchanged, since its own filters read it")
    void text() {
        assertEquals("gpu", extra("gpu", "dc1"));
    }

    @Test
    @DisplayName("Without a datacenter, or if resolving it fails, the heartbeat is unchanged")
    void nothingToAdd() {
        assertNull(extra(null, ""));
        SystemMetrics metrics = new DatacenterMetrics(SystemMetrics::new, () -> {
            throw new IllegalStateException("resolver failed");
        }).collect();
        assertNull(metrics.getExtra());
    }

    @Test
    @DisplayName("Under Spring Boot the collector is installed without code and wraps an application's own collector")
    void springBoot() {
        try (ConfigurableApplicationContext context = new SpringApplicationBuilder(Application.class).web(WebApplicationType.NONE)
                .run("--dc-sidecar.datacenter=dc3")) {
            PowerJobWorkerConfig config = context.getBean(PowerJobWorkerConfig.class);
            assertEquals("{\"gpu\":1,\"datacenter\":\"dc3\"}", config.getSystemMetricsCollector().collect().getExtra());
        }
    }

    private static String extra(String own, String datacenter) {
        return new DatacenterMetrics(() -> reporting(own), () -> datacenter).collect().getExtra();
    }

    private static SystemMetrics reporting(String extra) {
        SystemMetrics metrics = new SystemMetrics();
        metrics.setExtra(extra);
        return metrics;
    }

    /** An application with a worker that starts without a server. */
    @ImportAutoConfiguration(DatacenterAutoConfiguration.class)
    static class Application {
        @Bean
        PowerJobWorkerConfig config() {
            PowerJobWorkerConfig config = new PowerJobWorkerConfig();
            config.setSystemMetricsCollector(() -> reporting("{\"gpu\":1}"));
            return config;
        }

        @Bean
        PowerJobSpringWorker worker(PowerJobWorkerConfig config) {
            return new PowerJobSpringWorker(config) {
                @Override
                public void afterPropertiesSet() {
                    // PowerJob connects to its server here.
                }

                @Override
                public void destroy() {
                    // Nothing was started.
                }
            };
        }
    }
}
