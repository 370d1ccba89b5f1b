package io.dcsidecar.powerjob.testworker;

import io.dcsidecar.powerjob.worker.DatacenterMetrics;
import java.util.Arrays;
import tech.powerjob.common.enums.Protocol;
import tech.powerjob.worker.PowerJobWorker;
import tech.powerjob.worker.common.PowerJobWorkerConfig;
import tech.powerjob.worker.common.constants.StoreStrategy;

/** A worker without Spring. System property {@code stock} leaves the adapter out, {@code tag} sets the worker's tag. */
public final class PlainWorker {
    private PlainWorker() {}

    public static void main(String[] arguments) throws Exception {
        PowerJobWorkerConfig config = new PowerJobWorkerConfig();
        config.setAppName(System.getProperty("app"));
        config.setServerAddress(Arrays.asList(System.getProperty("servers").split(",")));
        config.setPort(Integer.getInteger("port"));
        config.setProtocol(Protocol.HTTP);
        config.setStoreStrategy(StoreStrategy.MEMORY);
        config.setTag(System.getProperty("tag"));
        if (!Boolean.getBoolean("stock")) {
            config.setSystemMetricsCollector(new DatacenterMetrics());
        }
        new PowerJobWorker(config).init();
        Thread.currentThread().join();
    }
}
