package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.AppNames;
import io.dcsidecar.client.SchedulerTypes;
import java.util.Objects;
import java.util.function.Function;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/** Reads PowerJob's jobs and workers: a worker's datacenter is in the extra field of its metrics, or in its tag. */
final class PowerJobTypes implements SchedulerTypes<JobInfoDO, WorkerInfo> {
    private final Settings.ScoreBy scoreBy;
    private final Function<Long, String> appNames;

    /** {@code appNames} returns the name of an application by its id, null if it is unknown at the moment. */
    PowerJobTypes(Settings.ScoreBy scoreBy, Function<Long, String> appNames) {
        this.scoreBy = scoreBy;
        this.appNames = appNames;
    }

    @Override
    public Object key(JobInfoDO job) {
        return new Key(job.getAppId(), job.getId());
    }

    @Override
    public AppNames app(JobInfoDO job) {
        String id = String.valueOf(job.getAppId());
        String name = appNames.apply(job.getAppId());
        if (name == null && scoreBy == Settings.ScoreBy.NAME) {
            return AppNames.incomplete(id);
        }
        if (name == null || name.equals(id)) {
            return AppNames.of(id);
        }
        return scoreBy == Settings.ScoreBy.NAME ? AppNames.of(name, id) : AppNames.of(id, name);
    }

    @Override
    public String job(JobInfoDO job) {
        return String.valueOf(job.getId());
    }

    @Override
    public String address(WorkerInfo worker) {
        return worker.getAddress();
    }

    @Override
    public String tag(WorkerInfo worker) {
        return worker.getTag();
    }

    @Override
    public String metrics(WorkerInfo worker) {
        SystemMetrics metrics = worker.getSystemMetrics();
        return metrics == null ? null : metrics.getExtra();
    }

    /** A job of an application. */
    private static final class Key {
        private final Long app;
        private final Long job;

        Key(Long app, Long job) {
            this.app = app;
            this.job = job;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Key && Objects.equals(app, ((Key) other).app) && Objects.equals(job, ((Key) other).job);
        }

        @Override
        public int hashCode() {
            return 31 * Objects.hashCode(app) + Objects.hashCode(job);
        }
    }
}
