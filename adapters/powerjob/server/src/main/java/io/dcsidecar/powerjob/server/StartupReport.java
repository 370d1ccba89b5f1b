package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.RoutingClient;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.aop.Advisor;
import org.springframework.aop.aspectj.AspectJPrecedenceInformation;
import org.springframework.aop.framework.Advised;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ApplicationListener;
import org.springframework.util.ClassUtils;

/** Logs the adapter's settings and its integration point, aspect or plain filter, once the server is up. */
final class StartupReport implements ApplicationListener<ApplicationReadyEvent> {
    private static final Logger LOG = LoggerFactory.getLogger(StartupReport.class);
    private static final String SELECTION_SERVICE = "tech.powerjob.server.remote.worker.WorkerClusterQueryService";
    private static final String DISPATCH_SERVICE = "tech.powerjob.server.core.DispatchService";

    private static final String POM = "META-INF/maven/tech.powerjob/powerjob-server-remote/pom.properties";
    /** The releases that the tests run. */
    private static final List<String> TESTED = Collections.unmodifiableList(Arrays.asList("4.3.9", "5.1.1"));

    private final Settings settings;
    private final RoutingClient<?, ?> client;

    StartupReport(Settings settings, RoutingClient<?, ?> client) {
        this.settings = settings;
        this.client = client;
    }

    @Override
    public void onApplicationEvent(ApplicationReadyEvent ready) {
        settings.problems.forEach(problem -> LOG.error("Invalid setting: {}", problem));
        ApplicationContext context = ready.getApplicationContext();
        String version = versionIn(context.getClassLoader());
        LOG.info("PowerJob {}", version);
        if (!TESTED.contains(version)) {
            LOG.warn("This adapter is not tested with PowerJob {}, but with {}. Compare where jobs run before you rely on it.", version,
                    String.join(" and ", TESTED));
        }
        boolean byAspect = isAdvised(context, SELECTION_SERVICE, WorkerSelectionAspect.class);
        LOG.info("dc-sidecar routes this server's jobs: one decision per dispatch{}; {}",
                byAspect ? "" : ", by the plain WorkerFilter, which cannot hold jobs", settings);
        if (settings.onNoWorker == Settings.OnNoWorker.HOLD
                && !(byAspect && isAdvised(context, DISPATCH_SERVICE, DispatchContextAspect.class))) {
            LOG.warn("dc-sidecar.on-no-worker=hold has no effect on this PowerJob version; jobs without workers fail");
        }
        client.logFirstContact();
    }

    /** Returns the release of the PowerJob server, or {@code of an unknown version}. */
    private static String versionIn(ClassLoader loader) {
        Properties pom = new Properties();
        try (InputStream in = loader.getResourceAsStream(POM)) {
            if (in != null) {
                pom.load(in);
            }
        } catch (IOException unreadable) {
            LOG.debug("Cannot read {}", POM, unreadable);
        }
        return pom.getProperty("version", "of an unknown version");
    }

    /** Returns whether the only bean of class {@code target} has advice of {@code aspect}; Spring adds only advice that matches. */
    private static boolean isAdvised(ApplicationContext context, String target, Class<?> aspect) {
        try {
            Class<?> type = ClassUtils.forName(target, context.getClassLoader());
            String[] aspects = context.getBeanNamesForType(aspect);
            Object bean = context.getBeanProvider(type).getIfUnique();
            return aspects.length == 1 && bean instanceof Advised
                    && Arrays.stream(((Advised) bean).getAdvisors()).anyMatch(advisor -> isOf(aspects[0], advisor));
        } catch (ClassNotFoundException | LinkageError | RuntimeException failed) {
            LOG.debug("Cannot inspect {}", target, failed);
            return false;
        }
    }

    private static boolean isOf(String aspect, Advisor advisor) {
        return advisor instanceof AspectJPrecedenceInformation
                && aspect.equals(((AspectJPrecedenceInformation) advisor).getAspectName());
    }
}
