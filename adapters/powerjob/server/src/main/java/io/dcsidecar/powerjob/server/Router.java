package io.dcsidecar.powerjob.server;

import io.dcsidecar.powerjob.server.DecisionCounters.Origin;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/**
 * Decides which workers may run a job: by the cached answer while it is valid, else by a call to the sidecar, else by the last
 * answer, else by {@code dc-sidecar.on-outage}. Never throws, and never blocks longer than {@code dc-sidecar.timeout}.
 */
final class Router {
    private static final int MAX_CACHED_JOBS = 16_384;

    private final Settings settings;
    private final SidecarClient sidecar;
    private final RouteMemory memory;
    private final Function<Long, String> appNames;
    private final DecisionCounters counters;
    private final AnswerCache cache = new AnswerCache(MAX_CACHED_JOBS);
    private final RecentJobs recent = new RecentJobs();
    private final OutageLog outage;

    Router(Settings settings, SidecarClient sidecar, RouteMemory memory, OutageLog outage, Function<Long, String> appNames,
            DecisionCounters counters) {
        this.settings = settings;
        this.sidecar = sidecar;
        this.memory = memory;
        this.outage = outage;
        this.appNames = appNames;
        this.counters = counters;
    }

    /** Returns the {@code workers} that may run {@code job}, in the given order; {@code instance} is null if unknown. */
    List<WorkerInfo> route(JobInfoDO job, Long instance, List<WorkerInfo> workers) {
        if (workers.isEmpty()) {
            return workers;
        }
        AnswerCache.Key key = keyOf(job);
        SidecarAnswer last = cache.get(key);
        recent.note(key, job);
        if (last != null && last.isValidIn(sidecar.epoch(), workers)) {
            return counted(Origin.MEMORY, last.select(workers));
        }
        Names names = namesOf(job.getAppId());
        try {
            SidecarAnswer answer = ask(names, job, instance, workers, settings.timeout.toNanos());
            cache.put(key, answer);
            return counted(Origin.SIDECAR, answer.select(workers));
        } catch (RuntimeException | LinkageError failure) {
            counters.countUnanswered();
            return fallback(failure, last, names.all, job, workers);
        }
    }

    /** Returns whether runs are being decided without the sidecar. */
    boolean isSidecarAway() {
        return outage.isOngoing();
    }

    /** Returns the number of times that runs had to be decided without the sidecar. */
    long outages() {
        return outage.episodes();
    }

    /** Returns the jobs that were dispatched lately, the latest first. */
    List<JobInfoDO> recentJobs() {
        return recent.latestFirst();
    }

    /**
     * Fetches the answer for a job before its next dispatch, unless there is a valid one already.
     *
     * @throws RuntimeException if the sidecar does not answer
     */
    void prefetch(JobInfoDO job, List<WorkerInfo> workers, long deadlineNanos) {
        AnswerCache.Key key = keyOf(job);
        SidecarAnswer last = cache.get(key);
        if (workers.isEmpty() || last != null
                && (last.isForInstance() || last.isUndecided() || last.isValidIn(sidecar.epoch(), workers))) {
            return;
        }
        cache.put(key, ask(namesOf(job.getAppId()), job, null, workers, deadlineNanos));
        counters.countPrefetched();
    }

    private static AnswerCache.Key keyOf(JobInfoDO job) {
        return new AnswerCache.Key(job.getAppId(), job.getId());
    }

    private Names namesOf(Long app) {
        String id = String.valueOf(app);
        String name = appNames.apply(app);
        if (name == null || name.equals(id)) {
            return new Names(name != null || settings.scoreBy == Settings.ScoreBy.ID, id);
        }
        return settings.scoreBy == Settings.ScoreBy.NAME ? new Names(true, name, id) : new Names(true, id, name);
    }

    private SidecarAnswer ask(Names names, JobInfoDO job, Long instance, List<WorkerInfo> workers, long deadlineNanos) {
        CandidateSnapshot candidates = new CandidateSnapshot(workers);
        FilterWorkersRequest.Builder request = FilterWorkersRequest.newBuilder().setApp(names.all.get(0))
                .addAllAppAliases(names.all.subList(1, names.all.size())).setJob(String.valueOf(job.getId())).setIndicesOnly(true)
                .setDispatch(true);
        if (instance != null) {
            request.setInstance(instance.toString());
        }
        candidates.addTo(request);
        RoutingEpoch before = sidecar.epoch();
        FilterWorkersResponse response = sidecar.filterWorkers(request.build(), deadlineNanos);
        boolean cacheable = names.complete && !response.getForInstance() && !response.getUndecided()
                && before != null && before == sidecar.epoch() && before.generation == response.getGeneration();
        return new SidecarAnswer(candidates, response, cacheable ? before : null);
    }

    private List<WorkerInfo> fallback(Throwable cause, SidecarAnswer last, List<String> names, JobInfoDO job,
            List<WorkerInfo> workers) {
        LastKnownRoutes routes = memory.routes();
        String id = String.valueOf(job.getId());
        Origin origin = null;
        List<WorkerInfo> selected = Collections.emptyList();
        if (last != null && last.unconfirmedNanos() <= settings.lastAnswerFor.toNanos()
                && !last.isContradictedBy(routes, names, id)) {
            boolean sameCandidates = last.isFor(workers);
            selected = sameCandidates ? last.select(workers) : last.selectByAddress(workers);
            if (routes != null) {
                selected = selected.stream().filter(worker -> !routes.isDrained(worker.getAddress())).collect(Collectors.toList());
            }
            if (sameCandidates || !selected.isEmpty()) {
                origin = Origin.LAST_ANSWER;
            }
        }
        if (origin == null) {
            if (settings.onOutage == Settings.OnOutage.CLOSED) {
                origin = Origin.CLOSED;
                selected = Collections.emptyList();
            } else if (settings.onOutage == Settings.OnOutage.LAST_KNOWN && routes != null) {
                origin = Origin.LAST_KNOWN;
                selected = routes.select(names, id, workers);
            } else {
                origin = Origin.OPEN;
                selected = workers;
            }
        }
        outage.recordRun(cause, origin, describeFallback(routes));
        return counted(origin, selected);
    }

    private String describeFallback(LastKnownRoutes routes) {
        String then;
        switch (settings.onOutage) {
            case CLOSED:
                then = "no worker";
                break;
            case OPEN:
                then = "every worker";
                break;
            default:
                then = routes == null ? "every worker, as no routes are known yet"
                        : "the workers that the last known routes allow (revision " + routes.revision + ")";
        }
        return "by the last answer for the same job, for at most " + settings.lastAnswerFor.getSeconds() + " s, else " + then
                + " (dc-sidecar.on-outage)";
    }

    private List<WorkerInfo> counted(Origin origin, List<WorkerInfo> selected) {
        counters.countDecision(origin);
        if (selected.isEmpty()) {
            counters.countWithoutWorkers();
        }
        return selected;
    }

    /** An application's names, the first of which the shares of a split are taken over. */
    private static final class Names {
        final boolean complete;
        final List<String> all;

        /** {@code complete} is false if the name could not be read: then the answer is not cached. */
        Names(boolean complete, String... all) {
            this.complete = complete;
            this.all = Arrays.asList(all);
        }
    }
}
