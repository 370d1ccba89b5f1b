package io.dcsidecar.powerjob.testworker;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.TaskResult;
import tech.powerjob.worker.core.processor.sdk.MapReduceProcessor;

/** Maps to as many subtasks as its parameter says, spread over the selected workers. */
public class MapReduceJob implements MapReduceProcessor {
    /** PowerJob drops what a task reports before its dispatch is written down, some milliseconds after it was sent. */
    private static final long MIN_DURATION_MS = 300;

    @Override
    public ProcessResult process(TaskContext context) throws Exception {
        if (isRootTask()) {
            int count = Integer.parseInt(context.getJobParams());
            Thread.sleep(MIN_DURATION_MS);
            map(IntStream.range(0, count).boxed().collect(Collectors.toList()), "PIECE");
            return new ProcessResult(true, "");
        }
        RunLog.write("begin", "piece " + context.getSubTask(), context);
        Thread.sleep(MIN_DURATION_MS);
        return new ProcessResult(true, System.getProperty("worker"));
    }

    @Override
    public ProcessResult reduce(TaskContext context, List<TaskResult> results) {
        try {
            Thread.sleep(MIN_DURATION_MS);
        } catch (InterruptedException e) {
            return new ProcessResult(false, "interrupted");
        }
        return new ProcessResult(true, results.stream().filter(TaskResult::isSuccess).count() + " pieces");
    }
}
