package io.dcsidecar.powerjob.server;

import java.util.List;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.annotation.Around;
import org.aspectj.lang.annotation.Aspect;
import org.springframework.beans.BeanUtils;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/**
 * Routes each worker selection of PowerJob with one decision over all candidates.
 *
 * <p>The pointcut names a method that is not part of PowerJob's API. If a release renames it, this advice never runs and
 * {@link RoutingFilter} decides instead.
 */
@Aspect
final class WorkerSelectionAspect {
    private static final ThreadLocal<Boolean> ACTIVE = new ThreadLocal<>();

    private final DispatchGate gate;

    WorkerSelectionAspect(DispatchGate gate) {
        this.gate = gate;
    }

    /** Returns whether this thread is inside the advice, which decides once PowerJob has collected the candidates. */
    static boolean isActive() {
        return ACTIVE.get() != null;
    }

    @Around("execution(java.util.List tech.powerjob.server..WorkerClusterQueryService.geAvailableWorkers(..)) && args(job)")
    Object select(ProceedingJoinPoint call, JobInfoDO job) throws Throwable {
        List<WorkerInfo> candidates;
        ACTIVE.set(Boolean.TRUE);
        try {
            candidates = workers(call.proceed(new Object[] {withoutLimit(job)}));
        } finally {
            ACTIVE.remove();
        }
        return gate.admit(job, candidates);
    }

    /** Lifts the job's worker limit: PowerJob applies it before the advice, and could keep only workers of another datacenter. */
    private static JobInfoDO withoutLimit(JobInfoDO job) {
        if (job.getMaxWorkerCount() == null || job.getMaxWorkerCount() <= 0) {
            return job;
        }
        JobInfoDO copy = new JobInfoDO();
        BeanUtils.copyProperties(job, copy);
        copy.setMaxWorkerCount(0);
        return copy;
    }

    @SuppressWarnings("unchecked")
    private static List<WorkerInfo> workers(Object result) {
        return (List<WorkerInfo>) result;
    }
}
