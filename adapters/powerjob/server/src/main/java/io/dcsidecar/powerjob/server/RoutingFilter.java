package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.RoutingClient;
import java.util.ArrayList;
import java.util.Collections;
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
 * Routes through PowerJob's {@link WorkerFilter} API, which every release supports. Passes everything while
 * {@link WorkerSelectionAspect} is active.
 *
 * <p>PowerJob calls a filter for one worker at a time and does not pass the candidates. So the filter collects the candidates
 * itself, decides at the first worker, and answers for the others from that decision.
 */
final class RoutingFilter implements WorkerFilter {
    private static final Logger LOG = LoggerFactory.getLogger(RoutingFilter.class);

    private final RoutingClient<JobInfoDO, WorkerInfo> client;
    private final ObjectProvider<WorkerClusterQueryService> clusters;
    private final ObjectProvider<WorkerFilter> filters;
    private final ThreadLocal<FilterPass> passes = new ThreadLocal<>();

    RoutingFilter(RoutingClient<JobInfoDO, WorkerInfo> client, ObjectProvider<WorkerClusterQueryService> clusters,
            ObjectProvider<WorkerFilter> filters) {
        this.client = client;
        this.clusters = clusters;
        this.filters = filters;
    }

    @Override
    public boolean filter(WorkerInfo worker, JobInfoDO job) {
        if (WorkerSelectionAspect.isActive()) {
            return false;
        }
        try {
            FilterPass pass = passes.get();
            if (pass == null || !pass.covers(worker, job)) {
                pass = new FilterPass(job, decide(worker, job));
                passes.set(pass);
            }
            return pass.removes(worker);
        } catch (RuntimeException | LinkageError failure) {
            LOG.warn("Routing failed for worker {} and job {}; the worker is allowed", worker.getAddress(), job.getId(), failure);
            return false;
        }
    }

    /** Returns the workers that pass PowerJob's own filters, in PowerJob's order. */
    List<WorkerInfo> candidates(JobInfoDO job) {
        List<WorkerInfo> candidates = new ArrayList<>();
        ClusterStatusHolder cluster = clusters.getObject().getAppId2ClusterStatus().get(job.getAppId());
        if (cluster != null) {
            cluster.getAllWorkers().values().stream().filter(worker -> passesOtherFilters(worker, job)).forEach(candidates::add);
        }
        return candidates;
    }

    private List<WorkerInfo> decide(WorkerInfo first, JobInfoDO job) {
        List<WorkerInfo> candidates = candidates(job);
        return client.select(job, DispatchContext.currentInstance(), candidates.isEmpty() ? Collections.singletonList(first) : candidates);
    }

    private boolean passesOtherFilters(WorkerInfo worker, JobInfoDO job) {
        return filters.stream().noneMatch(filter -> filter != this && filter.filter(worker, job));
    }

    /** One worker selection: calls for the same job object, each worker once, within a second. */
    private static final class FilterPass {
        private static final long MAX_NANOS = TimeUnit.SECONDS.toNanos(1);

        private final JobInfoDO job;
        private final Set<String> admitted = new HashSet<>();
        private final Set<String> filtered = new HashSet<>();
        private final long beganAt = System.nanoTime();

        FilterPass(JobInfoDO job, List<WorkerInfo> selected) {
            this.job = job;
            selected.forEach(worker -> admitted.add(worker.getAddress()));
        }

        boolean covers(WorkerInfo worker, JobInfoDO other) {
            return job == other && !filtered.contains(worker.getAddress()) && System.nanoTime() - beganAt < MAX_NANOS;
        }

        boolean removes(WorkerInfo worker) {
            filtered.add(worker.getAddress());
            return !admitted.contains(worker.getAddress());
        }
    }
}
