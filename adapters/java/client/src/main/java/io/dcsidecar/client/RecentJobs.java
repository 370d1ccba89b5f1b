package io.dcsidecar.client;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The jobs dispatched within the last hour, at most {@value #MAX_JOBS}: those whose next answer is worth fetching ahead. */
final class RecentJobs<J> {
    static final int MAX_JOBS = 2048;
    private static final long MAX_AGE_NANOS = TimeUnit.HOURS.toNanos(1);

    private final Map<Object, Dispatched<J>> entries = new LinkedHashMap<Object, Dispatched<J>>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Dispatched<J>> eldest) {
            return size() > MAX_JOBS;
        }
    };

    synchronized void note(Object key, J job) {
        entries.put(key, new Dispatched<>(job, MonotonicClock.now()));
    }

    /** Returns the jobs, the one dispatched last first. */
    synchronized List<J> latestFirst() {
        long oldest = MonotonicClock.now() - MAX_AGE_NANOS;
        entries.values().removeIf(entry -> entry.at < oldest);
        List<J> jobs = new ArrayList<>(entries.size());
        entries.values().forEach(entry -> jobs.add(entry.job));
        Collections.reverse(jobs);
        return jobs;
    }

    private static final class Dispatched<J> {
        private final J job;
        private final long at;

        Dispatched(J job, long at) {
            this.job = job;
            this.at = at;
        }
    }
}
