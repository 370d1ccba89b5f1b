package io.dcsidecar.elasticjob.testjob;

import io.dcsidecar.elasticjob.DatacenterRegistryCenter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import org.apache.shardingsphere.elasticjob.api.JobConfiguration;
import org.apache.shardingsphere.elasticjob.api.ShardingContext;
import org.apache.shardingsphere.elasticjob.lite.api.bootstrap.impl.ScheduleJobBootstrap;
import org.apache.shardingsphere.elasticjob.reg.base.CoordinatorRegistryCenter;
import org.apache.shardingsphere.elasticjob.reg.zookeeper.ZookeeperConfiguration;
import org.apache.shardingsphere.elasticjob.reg.zookeeper.ZookeeperRegistryCenter;
import org.apache.shardingsphere.elasticjob.simple.job.SimpleJob;

/**
 * A process with jobs that write down what they run. Settings are system properties: {@code zookeeper}, {@code namespace},
 * {@code worker}, {@code record}, and {@code jobs} as {@code NAME:SHARDS:SECONDS,…}.
 */
public final class TestJobs {
    private static final Path RECORD = Paths.get(System.getProperty("record"));

    private TestJobs() {}

    public static void main(String[] arguments) {
        ZookeeperConfiguration zookeeper = new ZookeeperConfiguration(System.getProperty("zookeeper"), System.getProperty("namespace"));
        zookeeper.setSessionTimeoutMilliseconds(4000);
        CoordinatorRegistryCenter registryCenter = DatacenterRegistryCenter.of(new ZookeeperRegistryCenter(zookeeper));
        registryCenter.init();
        for (String job : System.getProperty("jobs").split(",")) {
            String[] parts = job.split(":");
            boolean monitored = Integer.parseInt(parts[1]) < 20;
            new ScheduleJobBootstrap(registryCenter, (SimpleJob) TestJobs::run,
                    JobConfiguration.newBuilder(parts[0], Integer.parseInt(parts[1])).cron("0/" + parts[2] + " * * * * ?")
                            .jobShardingStrategyType("DC_SIDECAR").monitorExecution(monitored)
                            .reconcileIntervalMinutes(1).overwrite(true).build()).schedule();
        }
        record("start", "", -1);
    }

    /** Waits while there is a file {@code hold-JOB} beside the record. */
    private static void run(ShardingContext shard) {
        record("begin", shard.getJobName(), shard.getShardingItem());
        while (Files.exists(RECORD.resolveSibling("hold-" + shard.getJobName()))) {
            try {
                Thread.sleep(20);
            } catch (InterruptedException stopping) {
                return;
            }
        }
        record("end", shard.getJobName(), shard.getShardingItem());
    }

    private static synchronized void record(String event, String job, int item) {
        String line = "{\"at\":" + System.currentTimeMillis() + ",\"worker\":\"" + System.getProperty("worker") + "\",\"event\":\"" + event
                + "\",\"job\":\"" + job + "\",\"item\":" + item + "}\n";
        try {
            Files.write(RECORD, line.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException failed) {
            throw new IllegalStateException(failed);
        }
    }
}
