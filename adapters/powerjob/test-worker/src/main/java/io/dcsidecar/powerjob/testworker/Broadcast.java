package io.dcsidecar.powerjob.testworker;

import java.util.List;
import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.TaskResult;
import tech.powerjob.worker.core.processor.sdk.BroadcastProcessor;

/** Runs once on each worker that the scheduler chose. */
public class Broadcast implements BroadcastProcessor {
    @Override
    public ProcessResult preProcess(TaskContext context) {
        return new ProcessResult(true, "");
    }

    @Override
    public ProcessResult process(TaskContext context) {
        Record.write("begin", "broadcast", context);
        return new ProcessResult(true, System.getProperty("worker"));
    }

    @Override
    public ProcessResult postProcess(TaskContext context, List<TaskResult> results) {
        return new ProcessResult(true, results.size() + " workers");
    }
}
