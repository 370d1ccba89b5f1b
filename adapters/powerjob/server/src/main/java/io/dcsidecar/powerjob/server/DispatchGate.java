package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.RoutingClient;
import java.util.Collections;
import java.util.List;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/** Turns a decision into the worker list that PowerJob sees: at most the job's worker limit, or a placeholder that makes it wait. */
final class DispatchGate {
    private final Settings settings;
    private final RoutingClient<JobInfoDO, WorkerInfo> client;

    DispatchGate(Settings settings, RoutingClient<JobInfoDO, WorkerInfo> client) {
        this.settings = settings;
        this.client = client;
    }

    /** Returns the workers that PowerJob may use for {@code job}, out of the candidates {@code workers}. */
    List<WorkerInfo> admit(JobInfoDO job, List<WorkerInfo> workers) {
        DispatchContext dispatch = DispatchContext.current();
        List<WorkerInfo> selected = client.select(job, DispatchContext.currentInstance(), workers);
        if (selected.isEmpty() && mayHold(dispatch)) {
            client.countHeld();
            return Collections.singletonList(overloadedPlaceholder());
        }
        Integer limit = job.getMaxWorkerCount();
        return limit != null && limit > 0 && selected.size() > limit ? selected.subList(0, limit) : selected;
    }

    /** Only a dispatch can be held: a running job that looks for more workers would use the placeholder's address. */
    private boolean mayHold(DispatchContext dispatch) {
        return settings.onNoWorker == Settings.OnNoWorker.HOLD && dispatch != null
                && dispatch.overdueMillis() <= settings.holdFor.toMillis();
    }

    /** Returns a worker that PowerJob takes for overloaded; with no other worker, it leaves the instance waiting. */
    private static WorkerInfo overloadedPlaceholder() {
        WorkerInfo placeholder = new WorkerInfo();
        placeholder.setAddress("held by dc-sidecar");
        placeholder.setOverloading(true);
        return placeholder;
    }
}
