package io.dcsidecar.powerjob.server;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;
import tech.powerjob.server.remote.worker.ClusterStatusHolder;
import tech.powerjob.server.remote.worker.WorkerClusterQueryService;
import tech.powerjob.server.remote.worker.filter.WorkerFilter;

/**
 * PowerJob's own plug for filters: the way that always works. Says nothing where {@link ChoiceAspect} decides.
 *
 * <p>PowerJob asks it about one worker after the other and never shows it the candidates. So it gathers them as PowerJob
 * does, decides once when asked about the first, and answers for the others from that decision.
 */
final class RoutingFilter implements WorkerFilter {
    private static final Logger LOG = LoggerFactory.getLogger(RoutingFilter.class);

    private final Router router;
    private final ObjectProvider<WorkerClusterQueryService> clusters;
    private final ObjectProvider<WorkerFilter> filters;
    private final ThreadLocal<Round> rounds = new ThreadLocal<>();

    RoutingFilter(Router router, ObjectProvider<WorkerClusterQueryService> clusters, ObjectProvider<WorkerFilter> filters) {
        this.router = router;
        this.clusters = clusters;
        this.filters = filters;
    }

    @Override
    public boolean filter(WorkerInfo worker, JobInfoDO job) {
        if (ChoiceAspect.isDeciding()) {
            return false;
        }
        try {
            Round round = rounds.get();
            if (round == null || !round.covers(worker, job)) {
                round = new Round(job, decide(worker, job));
                rounds.set(round);
            }
            return round.removes(worker);
        } catch (RuntimeException | LinkageError broken) {
            LOG.warn("Cannot decide whether worker {} may run job {}; it may", worker.getAddress(), job.getId(), broken);
            return false;
        }
    }

    private List<WorkerInfo> decide(WorkerInfo asked, JobInfoDO job) {
        List<WorkerInfo> candidates = new ArrayList<>();
        ClusterStatusHolder cluster = clusters.getObject().getAppId2ClusterStatus().get(job.getAppId());
        if (cluster == null) {
            candidates.add(asked);
        } else {
            cluster.getAllWorkers().values().stream().filter(worker -> passesOthers(worker, job)).forEach(candidates::add);
        }
        Dispatch dispatch = Dispatch.current();
        return router.route(job, dispatch == null ? null : dispatch.instance, candidates);
    }

    private boolean passesOthers(WorkerInfo worker, JobInfoDO job) {
        return filters.stream().noneMatch(filter -> filter != this && filter.filter(worker, job));
    }

    /** The questions of one choice of workers: all about one job object, each worker once, in quick succession. */
    private static final class Round {
        private static final long LONGEST_NANOS = TimeUnit.SECONDS.toNanos(1);

        private final JobInfoDO job;
        private final Set<String> admitted = new HashSet<>();
        private final Set<String> asked = new HashSet<>();
        private final long begunAt = Clock.now();

        Round(JobInfoDO job, List<WorkerInfo> chosen) {
            this.job = job;
            chosen.forEach(worker -> admitted.add(worker.getAddress()));
        }

        boolean covers(WorkerInfo worker, JobInfoDO other) {
            return job == other && !asked.contains(worker.getAddress()) && Clock.now() - begunAt < LONGEST_NANOS;
        }

        boolean removes(WorkerInfo worker) {
            asked.add(worker.getAddress());
            return !admitted.contains(worker.getAddress());
        }
    }
}
