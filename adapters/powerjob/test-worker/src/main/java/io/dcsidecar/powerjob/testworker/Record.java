package io.dcsidecar.powerjob.testworker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import tech.powerjob.worker.core.processor.TaskContext;

/** What this worker ran: a line of JSON for each beginning and end, in the file that `record` names. */
final class Record {
    private static final String WORKER = System.getProperty("worker");
    private static final Path FILE = Paths.get(System.getProperty("record"));

    private Record() {}

    static void write(String event, String task, TaskContext context) {
        String line = String.format("{\"at\":%d,\"worker\":\"%s\",\"event\":\"%s\",\"task\":\"%s\",\"job\":%d,\"instance\":%d}%n",
                System.currentTimeMillis(), WORKER, event, task, context.getJobId(), context.getInstanceId());
        synchronized (Record.class) {
            try {
                Files.write(FILE, line.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
        }
    }
}
