package io.dcsidecar.powerjob.server;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/** The jobs dispatched within the last hour, at most {@value #MAX_JOBS}: those whose next answer is worth fetching ahead. */
final class RecentJobs {
    static final int MAX_JOBS = 2048;
    private static final long MAX_AGE_NANOS = TimeUnit.HOURS.toNanos(1);

    private final Map<AnswerCache.Key, Dispatched> entries = new LinkedHashMap<AnswerCache.Key, Dispatched>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<AnswerCache.Key, Dispatched> eldest) {
            return size() > MAX_JOBS;
        }
    };

    synchronized void note(AnswerCache.Key key, JobInfoDO job) {
        entries.put(key, new Dispatched(job, MonotonicClock.now()));
    }

    /** Returns the jobs, the one dispatched last first. */
    synchronized List<JobInfoDO> latestFirst() {
        long oldest = MonotonicClock.now() - MAX_AGE_NANOS;
        entries.values().removeIf(entry -> entry.at < oldest);
        List<JobInfoDO> jobs = new ArrayList<>(entries.size());
        entries.values().forEach(entry -> jobs.add(entry.job));
        Collections.reverse(jobs);
        return jobs;
    }

    private static final class Dispatched {
        private final JobInfoDO job;
        private final long at;

        Dispatched(JobInfoDO job, long at) {
            this.job = job;
            this.at = at;
        }
    }
}
