package io.dcsidecar.powerjob.worker;

import io.dcsidecar.client.DatacenterResolver;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.worker.common.utils.SystemInfoUtils;
import tech.powerjob.worker.extension.SystemMetricsCollector;

/**
 * Adds this worker's datacenter to the metrics of each heartbeat.
 *
 * <pre>{@code config.setSystemMetricsCollector(new DatacenterMetrics());}</pre>
 *
 * <p>The name comes from the system property {@code dc-sidecar.datacenter}, the environment variable
 * {@code DC_SIDECAR_DATACENTER}, or the file named by {@code dc-sidecar.datacenter-file} or
 * {@code DC_SIDECAR_DATACENTER_FILE}. Never throws: PowerJob would take a worker without heartbeats for dead.
 */
public final class DatacenterMetrics implements SystemMetricsCollector {
    private static final Logger LOG = LoggerFactory.getLogger(DatacenterMetrics.class);

    private final SystemMetricsCollector metrics;
    private final Supplier<String> datacenter;
    private boolean warned;

    /** Extends PowerJob's own metrics. */
    public DatacenterMetrics() {
        this(SystemInfoUtils::getSystemMetrics);
    }

    /** Extends the metrics of an application's own collector. */
    public DatacenterMetrics(SystemMetricsCollector metrics) {
        this(metrics, DatacenterResolver.ofThisProcess());
    }

    DatacenterMetrics(SystemMetricsCollector metrics, Supplier<String> datacenter) {
        this.metrics = metrics;
        this.datacenter = datacenter;
    }

    @Override
    public SystemMetrics collect() {
        SystemMetrics collected = metrics.collect();
        try {
            String name = datacenter.get();
            if (!name.isEmpty()) {
                collected.setExtra(with(name, collected.getExtra()));
            }
        } catch (RuntimeException failed) {
            warn("This worker cannot report its datacenter: " + failed);
        }
        return collected;
    }

    /** Adds the name to the application's own JSON object, or returns it alone if the application reports nothing. */
    private String with(String name, String extra) {
        String present = extra == null ? "" : extra.trim();
        if (present.isEmpty()) {
            return name;
        }
        if (present.startsWith("{") && present.endsWith("}")) {
            String members = present.substring(1, present.length() - 1).trim();
            return "{" + members + (members.isEmpty() ? "" : ",") + "\"datacenter\":\"" + name + "\"}";
        }
        warn("Cannot add the datacenter to this worker's extra metrics '" + present + "', which are not a JSON object; set the"
                + " worker's tag to the datacenter instead");
        return extra;
    }

    private void warn(String message) {
        if (!warned) {
            warned = true;
            LOG.warn(message);
        }
    }
}
