package io.dcsidecar.client;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

/** Test fixtures: jobs, workers in datacenters, settings. */
public final class Fixtures {
    /** An application by its number, named billing. */
    static final SchedulerTypes<Job, Worker> TYPES = new SchedulerTypes<Job, Worker>() {
        private final PlainTypes plain = new PlainTypes();

        @Override
        public Object key(Job job) {
            return job;
        }

        @Override
        public AppNames app(Job job) {
            return AppNames.of("billing", job.app);
        }

        @Override
        public String job(Job job) {
            return job.id;
        }

        @Override
        public String address(Worker worker) {
            return plain.address(worker);
        }

        @Override
        public String tag(Worker worker) {
            return plain.tag(worker);
        }

        @Override
        public String metrics(Worker worker) {
            return plain.metrics(worker);
        }
    };

    private Fixtures() {}

    static Job job(long id) {
        return new Job("7", String.valueOf(id));
    }

    /** Returns a worker for each value of its metrics, at 10.0.0.1:27777, 10.0.0.2:27777, …. */
    static List<Worker> workers(String... metrics) {
        List<Worker> workers = new ArrayList<>();
        for (int index = 0; index < metrics.length; index++) {
            workers.add(Worker.at("10.0.0." + (index + 1) + ":27777").in(metrics[index]));
        }
        return workers;
    }

    /** Returns settings from {@code name, value, name, value, …}, names without their prefix. */
    static ClientSettings settings(String... namesAndValues) {
        return new ClientSettings(reader(namesAndValues), "dc-sidecar");
    }

    /** As {@link #settings}, but waits ten seconds for an answer by default: a busy machine must not look like an outage. */
    static ClientSettings patientSettings(String... namesAndValues) {
        String[] all = Arrays.copyOf(new String[] {"timeout", "10s"}, namesAndValues.length + 2);
        System.arraycopy(namesAndValues, 0, all, 2, namesAndValues.length);
        return settings(all);
    }

    static PropertyReader reader(String... namesAndValues) {
        Map<String, String> values = new HashMap<>();
        for (int index = 0; index < namesAndValues.length; index += 2) {
            values.put(PropertyReader.PREFIX + namesAndValues[index], namesAndValues[index + 1]);
        }
        return new PropertyReader(values::get);
    }

    static List<String> addresses(List<Worker> workers) {
        return workers.stream().map(Worker::address).collect(Collectors.toList());
    }

    static List<String> addresses(int... numbers) {
        return Arrays.stream(numbers).mapToObj(number -> "10.0.0." + number + ":27777").collect(Collectors.toList());
    }

    /** Waits until a condition holds. */
    public static void eventually(String what, BooleanSupplier condition) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within 15 s: " + what);
            }
            try {
                Thread.sleep(5);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted while waiting: " + what);
            }
        }
    }
}
