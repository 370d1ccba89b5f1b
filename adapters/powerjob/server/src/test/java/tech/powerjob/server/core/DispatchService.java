package tech.powerjob.server.core;

import java.util.List;
import java.util.Optional;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.InstanceInfoDO;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;
import tech.powerjob.server.remote.worker.WorkerClusterQueryService;

/** Stub for PowerJob's class of this name, which needs the whole scheduler: selects workers within a dispatch. */
public class DispatchService {
    private final WorkerClusterQueryService workers;
    private List<WorkerInfo> seen;

    public DispatchService(WorkerClusterQueryService workers) {
        this.workers = workers;
    }

    public void dispatch(JobInfoDO jobInfo, Long instanceId, Optional<InstanceInfoDO> instanceInfoOptional,
            Optional<Object> overloadOptional) {
        seen = workers.geAvailableWorkers(jobInfo);
    }

    public List<WorkerInfo> seen() {
        return seen;
    }
}
