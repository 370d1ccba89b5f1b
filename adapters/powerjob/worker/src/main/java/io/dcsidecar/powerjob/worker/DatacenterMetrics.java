package io.dcsidecar.powerjob.worker;

import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.worker.common.utils.SystemInfoUtils;
import tech.powerjob.worker.extension.SystemMetricsCollector;

/**
 * Adds this worker's datacenter to the metrics it reports with each heartbeat.
 *
 * <pre>{@code config.setSystemMetricsCollector(new DatacenterMetrics());}</pre>
 *
 * <p>The name comes from the system property {@code dc-sidecar.datacenter}, the environment variable
 * {@code DC_SIDECAR_DATACENTER}, or the file that {@code dc-sidecar.datacenter-file} or {@code DC_SIDECAR_DATACENTER_FILE}
 * names. Never throws: a heartbeat that fails would cost the worker its place.
 */
public final class DatacenterMetrics implements SystemMetricsCollector {
    private static final Logger LOG = LoggerFactory.getLogger(DatacenterMetrics.class);

    private final SystemMetricsCollector metrics;
    private final Supplier<String> datacenter;
    private boolean warned;

    /** On top of PowerJob's own metrics. */
    public DatacenterMetrics() {
        this(SystemInfoUtils::getSystemMetrics);
    }

    /** On top of the metrics that an application collects by itself. */
    public DatacenterMetrics(SystemMetricsCollector metrics) {
        this(metrics, Datacenter.ofThisProcess());
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
        } catch (RuntimeException broken) {
            warn("This worker cannot report its datacenter: " + broken);
        }
        return collected;
    }

    /** Puts the name beside what the application reports: into a JSON object, or alone where there is nothing. */
    private String with(String name, String extra) {
        String present = extra == null ? "" : extra.trim();
        if (present.isEmpty()) {
            return name;
        }
        if (present.startsWith("{") && present.endsWith("}")) {
            String members = present.substring(1, present.length() - 1).trim();
            return "{" + members + (members.isEmpty() ? "" : ",") + "\"datacenter\":\"" + name + "\"}";
        }
        warn("This worker's own extra metrics '" + present + "' are no JSON object, so the datacenter has no place there; set the"
                + " worker's tag to the datacenter instead");
        return extra;
    }

    private void warn(String what) {
        if (!warned) {
            warned = true;
            LOG.warn(what);
        }
    }
}
