package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.PropertyReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.common.request.WorkerHeartbeat;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/** Test fixtures: jobs, workers in datacenters, settings. */
final class Fixtures {
    private Fixtures() {}

    static JobInfoDO job(long id) {
        JobInfoDO job = new JobInfoDO();
        job.setId(id);
        job.setAppId(7L);
        job.setMaxWorkerCount(0);
        return job;
    }

    /** Returns a worker for each value of {@code extra}, at 10.0.0.1:27777, 10.0.0.2:27777, …. */
    static List<WorkerInfo> workers(String... extras) {
        List<WorkerInfo> workers = new ArrayList<>();
        for (int index = 0; index < extras.length; index++) {
            WorkerInfo worker = new WorkerInfo();
            worker.refresh(heartbeat(7L, "10.0.0." + (index + 1) + ":27777", extras[index]));
            workers.add(worker);
        }
        return workers;
    }

    static WorkerHeartbeat heartbeat(long app, String address, String extra) {
        SystemMetrics metrics = new SystemMetrics();
        metrics.setExtra(extra);
        metrics.setJvmMaxMemory(1);
        WorkerHeartbeat heartbeat = new WorkerHeartbeat();
        heartbeat.setAppId(app);
        heartbeat.setAppName("billing");
        heartbeat.setWorkerAddress(address);
        heartbeat.setHeartbeatTime(System.currentTimeMillis());
        heartbeat.setSystemMetrics(metrics);
        return heartbeat;
    }

    /** Returns settings from {@code name, value, name, value, …}, names without their prefix. */
    static Settings settings(String... namesAndValues) {
        Map<String, Object> values = new HashMap<>();
        for (int index = 0; index < namesAndValues.length; index += 2) {
            values.put(PropertyReader.PREFIX + namesAndValues[index], namesAndValues[index + 1]);
        }
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new MapPropertySource("test", values));
        return new Settings(environment);
    }

    static List<String> addresses(List<WorkerInfo> workers) {
        return workers.stream().map(WorkerInfo::getAddress).collect(Collectors.toList());
    }

    static List<String> addresses(int... numbers) {
        return Arrays.stream(numbers).mapToObj(number -> "10.0.0." + number + ":27777").collect(Collectors.toList());
    }
}
