package io.dcsidecar.powerjob.server;

import java.util.Optional;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.annotation.Around;
import org.aspectj.lang.annotation.Aspect;
import tech.powerjob.server.persistence.remote.model.InstanceInfoDO;

/** Opens a {@link DispatchContext} around each dispatch of PowerJob. */
@Aspect
final class DispatchContextAspect {
    @Around("execution(void tech.powerjob.server..DispatchService.dispatch(..)) && args(*, instance, record, ..)")
    Object dispatch(ProceedingJoinPoint call, Long instance, Optional<?> record) throws Throwable {
        Object loaded = record == null ? null : record.orElse(null);
        InstanceInfoDO instanceInfo = loaded instanceof InstanceInfoDO ? (InstanceInfoDO) loaded : null;
        DispatchContext context = DispatchContext.enter(instance, instanceInfo);
        try {
            return call.proceed();
        } finally {
            context.leave();
        }
    }
}
