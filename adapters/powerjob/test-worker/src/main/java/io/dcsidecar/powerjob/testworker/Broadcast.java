package io.dcsidecar.powerjob.testworker;

import java.util.List;
import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.TaskResult;
import tech.powerjob.worker.core.processor.sdk.BroadcastProcessor;

/** Runs once on each worker that the scheduler chose. */
public class Broadcast implements BroadcastProcessor {
    /** PowerJob drops the report of a task that ends in the millisecond in which it was handed out. */
    private static final long LONG_ENOUGH_MS = 300;

    @Override
    public ProcessResult preProcess(TaskContext context) throws InterruptedException {
        Thread.sleep(LONG_ENOUGH_MS);
        return new ProcessResult(true, "");
    }

    @Override
    public ProcessResult process(TaskContext context) throws InterruptedException {
        Record.write("begin", "broadcast", context);
        Thread.sleep(LONG_ENOUGH_MS);
        return new ProcessResult(true, System.getProperty("worker"));
    }

    @Override
    public ProcessResult postProcess(TaskContext context, List<TaskResult> results) {
        return new ProcessResult(true, results.size() + " workers");
    }
}
