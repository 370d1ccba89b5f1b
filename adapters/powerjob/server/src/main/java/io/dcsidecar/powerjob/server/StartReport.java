package io.dcsidecar.powerjob.server;

import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.aop.Advisor;
import org.springframework.aop.aspectj.AspectJPrecedenceInformation;
import org.springframework.aop.framework.Advised;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ApplicationListener;
import org.springframework.util.ClassUtils;

/** Says, when the server is up, what the adapter is set to and by which of its two ways it decides in this server. */
final class StartReport implements ApplicationListener<ApplicationReadyEvent> {
    private static final Logger LOG = LoggerFactory.getLogger(StartReport.class);
    private static final String CHOICE = "tech.powerjob.server.remote.worker.WorkerClusterQueryService";
    private static final String DISPATCH = "tech.powerjob.server.core.DispatchService";

    private final Settings settings;

    StartReport(Settings settings) {
        this.settings = settings;
    }

    @Override
    public void onApplicationEvent(ApplicationReadyEvent ready) {
        settings.problems.forEach(problem -> LOG.error("Setting not taken: {}", problem));
        ApplicationContext context = ready.getApplicationContext();
        boolean once = isAdvised(context, CHOICE, ChoiceAspect.class);
        LOG.info("dc-sidecar routes this server's jobs: {}; {}", once ? "one decision for each dispatch"
                : "by the plain WorkerFilter, which decides once for each dispatch and cannot hold jobs", settings);
        if (settings.onNoWorker == Settings.OnNoWorker.HOLD && !(once && isAdvised(context, DISPATCH, DispatchAspect.class))) {
            LOG.warn("dc-sidecar.on-no-worker is 'hold', which this PowerJob offers no way to; jobs without workers fail");
        }
    }

    /** Tells whether the one bean of class {@code target} has advice of {@code aspect}; Spring adds only what matches a method. */
    private static boolean isAdvised(ApplicationContext context, String target, Class<?> aspect) {
        try {
            Class<?> type = ClassUtils.forName(target, context.getClassLoader());
            String[] aspects = context.getBeanNamesForType(aspect);
            Object bean = context.getBeanProvider(type).getIfUnique();
            return aspects.length == 1 && bean instanceof Advised
                    && Arrays.stream(((Advised) bean).getAdvisors()).anyMatch(advisor -> isOf(aspects[0], advisor));
        } catch (ClassNotFoundException | LinkageError | RuntimeException other) {
            LOG.debug("{} cannot be looked into", target, other);
            return false;
        }
    }

    private static boolean isOf(String aspect, Advisor advisor) {
        return advisor instanceof AspectJPrecedenceInformation
                && aspect.equals(((AspectJPrecedenceInformation) advisor).getAspectName());
    }
}
