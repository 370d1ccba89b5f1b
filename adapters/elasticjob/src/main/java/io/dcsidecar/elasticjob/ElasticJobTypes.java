package io.dcsidecar.elasticjob;

import io.dcsidecar.client.AppNames;
import io.dcsidecar.client.SchedulerTypes;
import org.apache.shardingsphere.elasticjob.infra.handler.sharding.JobInstance;

/** Reads ElasticJob's shards and instances: an instance's datacenter is in its labels, or follows from its address. */
final class ElasticJobTypes implements SchedulerTypes<Shard, JobInstance> {
    @Override
    public Object key(Shard shard) {
        return shard;
    }

    @Override
    public AppNames app(Shard shard) {
        return AppNames.of(shard.app);
    }

    @Override
    public String job(Shard shard) {
        return shard.job;
    }

    /** Returns the address and, in place of a port, the process id: instances of a host differ in it. */
    @Override
    public String address(JobInstance instance) {
        String id = instance.getJobInstanceId();
        int delimiter = id.indexOf(JobInstance.DELIMITER);
        return instance.getServerIp() + (delimiter < 0 ? "" : ":" + id.substring(delimiter + JobInstance.DELIMITER.length()));
    }

    @Override
    public String tag(JobInstance instance) {
        return InstanceLabels.isObject(instance.getLabels()) ? null : instance.getLabels();
    }

    @Override
    public String metrics(JobInstance instance) {
        return InstanceLabels.isObject(instance.getLabels()) ? instance.getLabels() : null;
    }
}
