package io.dcsidecar.powerjob.server;

import java.util.Collections;
import java.util.List;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/** What PowerJob gets to see of a decision: as many of the chosen workers as the job wants, or a reason to wait. */
final class Gate {
    private final Settings settings;
    private final Router router;
    private final Counters counters;

    Gate(Settings settings, Router router, Counters counters) {
        this.settings = settings;
        this.router = router;
        this.counters = counters;
    }

    /** Returns the workers that PowerJob shall see for {@code job}, whose candidates are {@code workers}. */
    List<WorkerInfo> admit(JobInfoDO job, List<WorkerInfo> workers) {
        Dispatch dispatch = Dispatch.current();
        List<WorkerInfo> chosen = router.route(job, dispatch == null ? null : dispatch.instance, workers);
        if (chosen.isEmpty() && mayHold(dispatch)) {
            counters.held();
            return Collections.singletonList(busy());
        }
        Integer limit = job.getMaxWorkerCount();
        return limit != null && limit > 0 && chosen.size() > limit ? chosen.subList(0, limit) : chosen;
    }

    /** Only a dispatch can wait: a running job that looks for more workers would take whomever it is told for a worker. */
    private boolean mayHold(Dispatch dispatch) {
        return settings.onNoWorker == Settings.OnNoWorker.HOLD && dispatch != null
                && dispatch.dueForMillis() <= settings.holdFor.toMillis();
    }

    /** A worker as PowerJob knows them that can take nothing: with nobody else there, the instance waits for the next look. */
    private static WorkerInfo busy() {
        WorkerInfo nobody = new WorkerInfo();
        nobody.setAddress("held by dc-sidecar");
        nobody.setOverloading(true);
        return nobody;
    }
}
