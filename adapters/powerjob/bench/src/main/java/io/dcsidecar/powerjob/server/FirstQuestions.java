package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.RoutingClient;
import io.dcsidecar.client.RoutingEpoch;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.springframework.core.env.StandardEnvironment;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.common.request.WorkerHeartbeat;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/**
 * How many of 200 dispatches miss the deadline of 200 ms: each the first of its job in a new JVM, then each the first after a switch.
 *
 * <p>Run by {@code bench/first-questions}. Arguments: the routing document, and whether answers are fetched ahead.
 */
public final class FirstQuestions {
    private static final int JOBS = 200;
    /** 30 dispatches a second. */
    private static final long INTERVAL_MS = 33;

    private FirstQuestions() {}

    public static void main(String[] arguments) throws Exception {
        Path document = Paths.get(arguments[0]);
        boolean ahead = Boolean.parseBoolean(arguments[1]);
        Settings settings = new Settings(new StandardEnvironment());
        List<WorkerInfo> workers = workers();
        RoutingClient<JobInfoDO, WorkerInfo> client = new RoutingClient<>(settings.client,
                new PowerJobTypes(settings.scoreBy, app -> "billing"));
        if (ahead) {
            client.prefetch(job -> workers);
        }
        client.start();
        while (client.epoch() == null || ahead && !client.isWarm()) {
            Thread.sleep(5);
        }
        String cold = dispatchAll(client, workers);
        RoutingEpoch before = client.epoch();
        Path fresh = document.resolveSibling("new");
        Files.write(fresh, ("default: dc2 # " + System.nanoTime() + "\n").getBytes(StandardCharsets.UTF_8));
        Files.move(fresh, document, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        while (client.epoch() == before || client.epoch() == null) {
            Thread.sleep(1);
        }
        String switched = dispatchAll(client, workers);
        System.out.println("ahead=" + ahead + "  new JVM: " + cold + "  after a switch: " + switched);
        System.exit(0);
    }

    private static String dispatchAll(RoutingClient<JobInfoDO, WorkerInfo> client, List<WorkerInfo> workers)
            throws InterruptedException {
        long missed = client.metrics().getUnanswered();
        List<Long> took = new ArrayList<>();
        for (long id = 1; id <= JOBS; id++) {
            JobInfoDO job = new JobInfoDO();
            job.setId(id);
            job.setAppId(7L);
            long begun = System.nanoTime();
            client.select(job, null, workers);
            took.add(System.nanoTime() - begun);
            Thread.sleep(INTERVAL_MS);
        }
        Collections.sort(took);
        long late = took.stream().filter(nanos -> nanos > TimeUnit.MILLISECONDS.toNanos(200)).count();
        return String.format("%d of %d unanswered, %d over 200 ms, median %.1f ms, p99 %.1f ms, longest %.1f ms", client.metrics().getUnanswered() - missed, JOBS, late,
                millis(took.get(JOBS / 2)), millis(took.get(JOBS * 99 / 100)), millis(took.get(JOBS - 1)));
    }

    private static double millis(long nanos) {
        return nanos / (double) TimeUnit.MILLISECONDS.toNanos(1);
    }

    private static List<WorkerInfo> workers() {
        List<WorkerInfo> workers = new ArrayList<>();
        for (int index = 0; index < 4; index++) {
            SystemMetrics metrics = new SystemMetrics();
            metrics.setExtra(index % 2 == 0 ? "dc1" : "dc2");
            WorkerHeartbeat heartbeat = new WorkerHeartbeat();
            heartbeat.setAppId(7L);
            heartbeat.setAppName("billing");
            heartbeat.setWorkerAddress("10.0.0." + (index + 1) + ":27777");
            heartbeat.setHeartbeatTime(System.currentTimeMillis());
            heartbeat.setSystemMetrics(metrics);
            WorkerInfo worker = new WorkerInfo();
            worker.refresh(heartbeat);
            workers.add(worker);
        }
        return workers;
    }
}
