package io.dcsidecar.client;

import io.dcsidecar.client.DecisionCounters.Origin;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Decides which workers may run a job: by the cached answer while it is valid, else by a call to the sidecar, else by the last
 * answer, else by {@code dc-sidecar.on-outage}. Never throws, and never blocks longer than {@code dc-sidecar.timeout}.
 */
final class Router<J, W> {
    private static final int MAX_CACHED_JOBS = 16_384;

    private final ClientSettings settings;
    private final SchedulerTypes<J, W> types;
    private final SidecarClient sidecar;
    private final RouteMemory memory;
    private final DecisionCounters counters;
    private final AnswerCache<W> cache = new AnswerCache<>(MAX_CACHED_JOBS);
    private final RecentJobs<J> recent = new RecentJobs<>();
    private final OutageLog outage;

    Router(ClientSettings settings, SchedulerTypes<J, W> types, SidecarClient sidecar, RouteMemory memory, OutageLog outage,
            DecisionCounters counters) {
        this.settings = settings;
        this.types = types;
        this.sidecar = sidecar;
        this.memory = memory;
        this.outage = outage;
        this.counters = counters;
    }

    /** Returns the {@code workers} that may run {@code job}, in the given order; {@code instance} is null if unknown. */
    List<W> route(J job, String instance, List<W> workers) {
        if (workers.isEmpty()) {
            return workers;
        }
        Object key = types.key(job);
        SidecarAnswer<W> last = cache.get(key);
        recent.note(key, job);
        if (last != null && last.isValidIn(sidecar.epoch(), workers)) {
            return counted(Origin.MEMORY, last.select(workers));
        }
        AppNames names = null;
        try {
            names = types.app(job);
            SidecarAnswer<W> answer = ask(names, job, instance, workers, settings.timeout.toNanos());
            cache.put(key, answer);
            return counted(Origin.SIDECAR, answer.select(workers));
        } catch (RuntimeException | LinkageError failure) {
            counters.countUnanswered();
            return fallback(failure, last, names == null ? Collections.emptyList() : names.all, job, workers);
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
    List<J> recentJobs() {
        return recent.latestFirst();
    }

    /**
     * Fetches the answer for a job before its next dispatch, unless there is a valid one already.
     *
     * @throws RuntimeException if the sidecar does not answer
     */
    void prefetch(J job, List<W> workers, long deadlineNanos) {
        Object key = types.key(job);
        SidecarAnswer<W> last = cache.get(key);
        if (workers.isEmpty() || last != null
                && (last.isForInstance() || last.isUndecided() || last.isValidIn(sidecar.epoch(), workers))) {
            return;
        }
        cache.put(key, ask(types.app(job), job, null, workers, deadlineNanos));
        counters.countPrefetched();
    }

    private SidecarAnswer<W> ask(AppNames names, J job, String instance, List<W> workers, long deadlineNanos) {
        CandidateSnapshot<W> candidates = new CandidateSnapshot<>(types, workers);
        FilterWorkersRequest.Builder request = FilterWorkersRequest.newBuilder().setApp(names.all.get(0))
                .addAllAppAliases(names.all.subList(1, names.all.size())).setJob(types.job(job)).setIndicesOnly(true)
                .setDispatch(true);
        if (instance != null) {
            request.setInstance(instance);
        }
        candidates.addTo(request);
        RoutingEpoch before = sidecar.epoch();
        FilterWorkersResponse response = sidecar.filterWorkers(request.build(), deadlineNanos);
        boolean cacheable = names.complete && !response.getForInstance() && !response.getUndecided()
                && before != null && before == sidecar.epoch() && before.generation == response.getGeneration();
        return new SidecarAnswer<>(candidates, response, cacheable ? before : null);
    }

    private List<W> fallback(Throwable cause, SidecarAnswer<W> last, List<String> names, J job,
            List<W> workers) {
        LastKnownRoutes routes = memory.routes();
        String id = types.job(job);
        Origin origin = null;
        List<W> selected = Collections.emptyList();
        if (last != null && last.unconfirmedNanos() <= settings.lastAnswerFor.toNanos()
                && !last.isContradictedBy(routes, names, id)) {
            boolean sameCandidates = last.isFor(workers);
            selected = sameCandidates ? last.select(workers) : last.selectByAddress(types, workers);
            if (routes != null) {
                selected = selected.stream().filter(worker -> !routes.isDrained(types.address(worker))).collect(Collectors.toList());
            }
            if (sameCandidates || !selected.isEmpty()) {
                origin = Origin.LAST_ANSWER;
            }
        }
        if (origin == null) {
            if (settings.onOutage == ClientSettings.OnOutage.CLOSED) {
                origin = Origin.CLOSED;
                selected = Collections.emptyList();
            } else if (settings.onOutage == ClientSettings.OnOutage.LAST_KNOWN && routes != null) {
                origin = Origin.LAST_KNOWN;
                selected = routes.select(types, names, id, workers);
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

    private List<W> counted(Origin origin, List<W> selected) {
        counters.countDecision(origin);
        if (selected.isEmpty()) {
            counters.countWithoutWorkers();
        }
        return selected;
    }
}
