package io.dcsidecar.powerjob.testworker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import tech.powerjob.worker.core.processor.TaskContext;

/** Writes what this worker ran: a JSON line per start and end, to the file in system property {@code record}. */
final class RunLog {
    private static final String WORKER = System.getProperty("worker");
    private static final Path FILE = Paths.get(System.getProperty("record"));

    private RunLog() {}

    static void write(String event, String task, TaskContext context) {
        String line = String.format("{\"at\":%d,\"worker\":\"%s\",\"event\":\"%s\",\"task\":\"%s\",\"job\":%d,\"instance\":%d}%n",
                System.currentTimeMillis(), WORKER, event, task, context.getJobId(), context.getInstanceId());
        synchronized (RunLog.class) {
            try {
                Files.write(FILE, line.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
        }
    }
}
