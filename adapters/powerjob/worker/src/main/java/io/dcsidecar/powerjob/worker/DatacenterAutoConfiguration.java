package io.dcsidecar.powerjob.worker;

import io.dcsidecar.client.DatacenterResolver;
import java.lang.reflect.Field;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import tech.powerjob.worker.PowerJobSpringWorker;
import tech.powerjob.worker.common.PowerJobWorkerConfig;
import tech.powerjob.worker.common.utils.SystemInfoUtils;
import tech.powerjob.worker.extension.SystemMetricsCollector;

/** Makes a Spring Boot worker report its datacenter without code; {@code dc-sidecar.enabled=false} disables it. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnClass(PowerJobSpringWorker.class)
@ConditionalOnProperty(prefix = "dc-sidecar", name = "enabled", matchIfMissing = true)
public class DatacenterAutoConfiguration {
    @Bean
    static BeanPostProcessor dcSidecarDatacenter(Environment environment) {
        return new BeanPostProcessor() {
            @Override
            public Object postProcessBeforeInitialization(Object bean, String name) {
                if (bean instanceof PowerJobSpringWorker) {
                    report((PowerJobSpringWorker) bean, new DatacenterResolver(environment::getProperty));
                }
                return bean;
            }
        };
    }

    /** Runs before the worker starts at initialization; PowerJob's starter has no extension point for a metrics collector. */
    private static void report(PowerJobSpringWorker worker, DatacenterResolver datacenter) {
        try {
            Field field = PowerJobSpringWorker.class.getDeclaredField("config");
            field.setAccessible(true);
            PowerJobWorkerConfig config = (PowerJobWorkerConfig) field.get(worker);
            SystemMetricsCollector present = config.getSystemMetricsCollector();
            if (!(present instanceof DatacenterMetrics)) {
                config.setSystemMetricsCollector(
                        new DatacenterMetrics(present == null ? SystemInfoUtils::getSystemMetrics : present, datacenter));
            }
        } catch (ReflectiveOperationException | RuntimeException failed) {
            Logger log = LoggerFactory.getLogger(DatacenterAutoConfiguration.class);
            log.warn("Unsupported PowerJob worker: its datacenter is not reported. Set the worker's tag to the datacenter", failed);
        }
    }
}
