package io.dcsidecar.powerjob.testworker;

import java.util.List;
import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.TaskResult;
import tech.powerjob.worker.core.processor.sdk.BroadcastProcessor;

/** Runs once on each selected worker. */
public class BroadcastJob implements BroadcastProcessor {
    /** PowerJob drops what a task reports before its dispatch is written down, some milliseconds after it was sent. */
    private static final long MIN_DURATION_MS = 300;

    @Override
    public ProcessResult preProcess(TaskContext context) throws InterruptedException {
        Thread.sleep(MIN_DURATION_MS);
        return new ProcessResult(true, "");
    }

    @Override
    public ProcessResult process(TaskContext context) throws InterruptedException {
        RunLog.write("begin", "broadcast", context);
        Thread.sleep(MIN_DURATION_MS);
        return new ProcessResult(true, System.getProperty("worker"));
    }

    @Override
    public ProcessResult postProcess(TaskContext context, List<TaskResult> results) throws InterruptedException {
        Thread.sleep(MIN_DURATION_MS);
        return new ProcessResult(true, results.size() + " workers");
    }
}
