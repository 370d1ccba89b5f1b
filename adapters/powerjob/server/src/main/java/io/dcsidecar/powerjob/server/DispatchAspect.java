package io.dcsidecar.powerjob.server;

import java.util.Optional;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.annotation.Around;
import org.aspectj.lang.annotation.Aspect;
import tech.powerjob.server.persistence.remote.model.InstanceInfoDO;

/** Lets the choice of workers know for which instance it is, and that the instance can wait. */
@Aspect
final class DispatchAspect {
    @Around("execution(void tech.powerjob.server..DispatchService.dispatch(..)) && args(*, instance, record, ..)")
    Object dispatch(ProceedingJoinPoint call, Long instance, Optional<?> record) throws Throwable {
        Object known = record == null ? null : record.orElse(null);
        Dispatch dispatch = Dispatch.enter(instance, known instanceof InstanceInfoDO ? (InstanceInfoDO) known : null);
        try {
            return call.proceed();
        } finally {
            dispatch.leave();
        }
    }
}
