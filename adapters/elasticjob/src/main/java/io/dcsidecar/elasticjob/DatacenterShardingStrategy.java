package io.dcsidecar.elasticjob;

import io.dcsidecar.client.ClientSettings;
import io.dcsidecar.client.ProcessProperties;
import io.dcsidecar.client.PropertyReader;
import io.dcsidecar.client.RoutingClient;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.curator.framework.CuratorFramework;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobInstance;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobShardingStrategy;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobShardingStrategyFactory;
import org.apache.shardingsphere.elasticjob.lite.internal.instance.InstanceService;
import org.apache.shardingsphere.elasticjob.lite.internal.schedule.JobRegistry;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives each shard to an instance in the datacenter that serves it now, as the sidecar decides. Among those instances another
 * strategy chooses, by default ElasticJob's own.
 *
 * <p>Selected by {@code jobShardingStrategyType("DC_SIDECAR")}. ElasticJob calls it in the leader of a job's instances; the
 * connection to the sidecar is opened by the first call and then kept.
 */
public final class DatacenterShardingStrategy implements JobShardingStrategy {
    /** The type by which a job's configuration selects this strategy. */
    public static final String TYPE = "DC_SIDECAR";
    private static final Logger LOG = LoggerFactory.getLogger(DatacenterShardingStrategy.class);
    private static final String DEFAULT_DELEGATE = "AVG_ALLOCATION";
    private static final long FIRST_CONTACT_MS = 5000;
    private static final int MAX_REPETITIONS = 5;

    private final PropertyReader properties;
    private final Function<String, String> namespaces;
    private final Function<String, List<JobInstance>> liveInstances;
    private RoutingClient<Shard, JobInstance> client;

    /** Reads system properties, then environment variables. */
    public DatacenterShardingStrategy() {
        this(new PropertyReader(ProcessProperties::get), DatacenterShardingStrategy::namespaceOf,
                job -> new InstanceService(JobRegistry.getInstance().getRegCenter(job), job).getAvailableJobInstances());
    }

    /** {@code namespaces} returns the registry center's namespace of a job, {@code liveInstances} its instances at the moment. */
    DatacenterShardingStrategy(PropertyReader properties, Function<String, String> namespaces,
            Function<String, List<JobInstance>> liveInstances) {
        this.properties = properties;
        this.namespaces = namespaces;
        this.liveInstances = liveInstances;
    }

    @Override
    public String getType() {
        return TYPE;
    }

    /** Never throws: ElasticJob would run none of the job's shards, and its leader would try again at each trigger. */
    @Override
    public Map<JobInstance, List<Integer>> sharding(List<JobInstance> instances, String job, int shardingTotalCount) {
        JobShardingStrategy delegate = delegateFor(job);
        try {
            List<JobInstance> used = instances;
            Map<JobInstance, List<Integer>> sharding = shardByDatacenter(delegate, used, job, shardingTotalCount);
            // ElasticJob drops the mark of an instance that joins or leaves before the sharding is complete.
            for (int repetition = 0; repetition < MAX_REPETITIONS; repetition++) {
                List<JobInstance> now = liveInstances.apply(job);
                if (now.isEmpty() || new HashSet<>(now).equals(new HashSet<>(used))) {
                    break;
                }
                used = now;
                sharding = shardByDatacenter(delegate, used, job, shardingTotalCount);
            }
            return sharding;
        } catch (RuntimeException | LinkageError failed) {
            LOG.warn("Routing failed for job {}; its shards may go to every instance", job, failed);
            return delegate.sharding(instances, job, shardingTotalCount);
        }
    }

    private Map<JobInstance, List<Integer>> shardByDatacenter(JobShardingStrategy delegate, List<JobInstance> instances, String job,
            int shardingTotalCount) {
        RoutingClient<Shard, JobInstance> connected = connected();
        String app = properties.text("application", namespaces.apply(job));
        Map<List<JobInstance>, List<Integer>> groups = new LinkedHashMap<>();
        for (int item = 0; item < shardingTotalCount; item++) {
            Shard shard = new Shard(app, job, item);
            groups.computeIfAbsent(connected.select(shard, shard.instance(), instances), selected -> new ArrayList<>()).add(item);
        }
        Map<JobInstance, List<Integer>> sharding = new LinkedHashMap<>();
        instances.forEach(instance -> sharding.put(instance, new ArrayList<>()));
        groups.forEach((selected, items) -> {
            if (selected.isEmpty()) {
                LOG.warn("Job {}: no instance may run the shards {} now, they are not assigned. ElasticJob shards again when an instance "
                        + "joins or leaves, at its next reconciliation, and after `dc-sidecar elasticjob reshard`.", job, items);
                return;
            }
            delegate.sharding(selected, job, items.size())
                    .forEach((instance, places) -> places.forEach(place -> sharding.get(instance).add(items.get(place))));
        });
        LOG.info("Job {} of {} sharded: {}", job, app, describe(sharding));
        return sharding;
    }

    private static String describe(Map<JobInstance, List<Integer>> sharding) {
        StringBuilder text = new StringBuilder();
        sharding.forEach((instance, items) -> {
            if (!items.isEmpty()) {
                text.append(text.length() == 0 ? "" : ", ").append(items.size()).append(" to ").append(instance.getJobInstanceId());
                if (instance.getLabels() != null) {
                    text.append(' ').append(instance.getLabels());
                }
            }
        });
        return text.length() == 0 ? "none" : text.toString();
    }

    /** Returns the client; the first call waits until the sidecar has answered or is known to be unavailable. */
    private synchronized RoutingClient<Shard, JobInstance> connected() {
        if (client == null) {
            ClientSettings settings = new ClientSettings(properties, ".dc-sidecar/elasticjob");
            properties.problems().forEach(problem -> LOG.error("Invalid setting: {}", problem));
            LOG.info("dc-sidecar routes the shards of this process's jobs; {}", settings);
            RoutingClient<Shard, JobInstance> opened = new RoutingClient<>(settings, new ElasticJobTypes());
            opened.start();
            opened.logFirstContact();
            client = opened;
            try {
                opened.awaitFirstContact(FIRST_CONTACT_MS);
            } catch (InterruptedException stopping) {
                Thread.currentThread().interrupt();
            }
        }
        return client;
    }

    /** Closes the connection to the sidecar. */
    synchronized void close() {
        if (client != null) {
            client.close();
            client = null;
        }
    }

    /** Returns the strategy of {@code dc-sidecar.delegate.JOB}, else of {@code dc-sidecar.delegate}, else ElasticJob's default. */
    private JobShardingStrategy delegateFor(String job) {
        String type = properties.text("delegate." + job, properties.text("delegate", DEFAULT_DELEGATE));
        try {
            if (!TYPE.equals(type)) {
                return JobShardingStrategyFactory.getStrategy(type);
            }
        } catch (RuntimeException unknown) {
            LOG.debug("No sharding strategy {}", type, unknown);
        }
        LOG.error("Invalid setting: dc-sidecar.delegate: found '{}', expected the type of another sharding strategy; using {}", type,
                DEFAULT_DELEGATE);
        return JobShardingStrategyFactory.getStrategy(DEFAULT_DELEGATE);
    }

    private static String namespaceOf(String job) {
        Object raw = JobRegistry.getInstance().getRegCenter(job).getRawClient();
        return raw instanceof CuratorFramework ? ((CuratorFramework) raw).getNamespace() : "elasticjob";
    }
}
