package io.dcsidecar.powerjob.server;

import io.dcsidecar.powerjob.server.DecisionCounters.Origin;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/**
 * Decides which workers may run a job: by the cached answer while it is valid, else by a call to the sidecar, else by the last
 * answer, else by {@code dc-sidecar.when-away}. Never throws, and never blocks longer than {@code dc-sidecar.timeout}.
 */
final class Router {
    private static final int MAX_CACHED_JOBS = 16_384;

    private final Settings settings;
    private final SidecarClient sidecar;
    private final Function<Long, String> appNames;
    private final DecisionCounters counters;
    private final AnswerCache cache = new AnswerCache(MAX_CACHED_JOBS);
    private final OutageLog outage = new OutageLog();

    Router(Settings settings, SidecarClient sidecar, Function<Long, String> appNames, DecisionCounters counters) {
        this.settings = settings;
        this.sidecar = sidecar;
        this.appNames = appNames;
        this.counters = counters;
    }

    /** Returns the {@code workers} that may run {@code job}, in the given order; {@code instance} is null if unknown. */
    List<WorkerInfo> route(JobInfoDO job, Long instance, List<WorkerInfo> workers) {
        if (workers.isEmpty()) {
            return workers;
        }
        AnswerCache.Key key = new AnswerCache.Key(job.getAppId(), job.getId());
        SidecarAnswer last = cache.get(key);
        if (last != null && last.isValidIn(sidecar.epoch(), workers)) {
            return counted(Origin.MEMORY, last.select(workers));
        }
        try {
            SidecarAnswer answer = ask(job, instance, workers);
            cache.put(key, answer);
            outage.recordSuccess();
            return counted(Origin.SIDECAR, answer.select(workers));
        } catch (RuntimeException | LinkageError failure) {
            return fallback(failure, last, workers);
        }
    }

    /** Returns whether the last request to the sidecar went unanswered. */
    boolean isSidecarAway() {
        return outage.isOngoing();
    }

    private SidecarAnswer ask(JobInfoDO job, Long instance, List<WorkerInfo> workers) {
        CandidateSnapshot candidates = new CandidateSnapshot(workers);
        FilterWorkersRequest.Builder request = FilterWorkersRequest.newBuilder().setApp(String.valueOf(job.getAppId()))
                .setJob(String.valueOf(job.getId())).setIndicesOnly(true);
        String name = appNames.apply(job.getAppId());
        if (name != null) {
            request.addAppAliases(name);
        }
        if (instance != null) {
            request.setInstance(instance.toString());
        }
        candidates.addTo(request);
        RoutingEpoch before = sidecar.epoch();
        FilterWorkersResponse response = sidecar.filterWorkers(request.build());
        boolean cacheable = !response.getForInstance() && before != null && before == sidecar.epoch()
                && before.generation == response.getGeneration();
        return new SidecarAnswer(candidates, response, cacheable ? before : null);
    }

    private List<WorkerInfo> fallback(Throwable cause, SidecarAnswer last, List<WorkerInfo> workers) {
        boolean open = settings.whenAway == Settings.WhenAway.OPEN;
        outage.recordFailure(cause, "the last answer for the same job, for at most " + settings.lastAnswerFor.getSeconds()
                + " s, then " + (open ? "every worker" : "no worker") + " (dc-sidecar.when-away)");
        if (last != null && last.unconfirmedNanos() <= settings.lastAnswerFor.toNanos()) {
            boolean sameCandidates = last.isFor(workers);
            List<WorkerInfo> selected = sameCandidates ? last.select(workers) : last.selectByAddress(workers);
            if (sameCandidates || !selected.isEmpty()) {
                return counted(Origin.LAST_ANSWER, selected);
            }
        }
        return open ? counted(Origin.OPEN, workers) : counted(Origin.CLOSED, Collections.emptyList());
    }

    private List<WorkerInfo> counted(Origin origin, List<WorkerInfo> selected) {
        counters.countDecision(origin);
        if (selected.isEmpty()) {
            counters.countWithoutWorkers();
        }
        return selected;
    }
}
