package io.dcsidecar.powerjob.server;

import java.util.List;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.annotation.Around;
import org.aspectj.lang.annotation.Aspect;
import org.springframework.beans.BeanUtils;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/**
 * One decision for each choice of workers, with all candidates in sight.
 *
 * <p>It rests on the name of a method that is no API of PowerJob's; where that changes, this advice is never called and
 * {@link RoutingFilter} decides.
 */
@Aspect
final class ChoiceAspect {
    private static final ThreadLocal<Boolean> DECIDING = new ThreadLocal<>();

    private final Gate gate;

    ChoiceAspect(Gate gate) {
        this.gate = gate;
    }

    /** Tells whether this thread is inside the advice, which will decide when all candidates are known. */
    static boolean isDeciding() {
        return DECIDING.get() != null;
    }

    @Around("execution(java.util.List tech.powerjob.server..WorkerClusterQueryService.geAvailableWorkers(..)) && args(job)")
    Object choose(ProceedingJoinPoint call, JobInfoDO job) throws Throwable {
        List<WorkerInfo> candidates;
        DECIDING.set(Boolean.TRUE);
        try {
            candidates = workers(call.proceed(new Object[] {withoutLimit(job)}));
        } finally {
            DECIDING.remove();
        }
        return gate.admit(job, candidates);
    }

    /** PowerJob cuts the list to the job's worker limit before the advice sees it: the wrong datacenter's might be left. */
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
