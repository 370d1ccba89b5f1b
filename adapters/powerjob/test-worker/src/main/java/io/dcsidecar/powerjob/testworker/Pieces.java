package io.dcsidecar.powerjob.testworker;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.TaskResult;
import tech.powerjob.worker.core.processor.sdk.MapReduceProcessor;

/** Splits into as many pieces as its parameters say, which the chosen workers share. */
public class Pieces implements MapReduceProcessor {
    /** PowerJob drops the report of a task that ends in the millisecond in which it was handed out. */
    private static final long LONG_ENOUGH_MS = 300;

    @Override
    public ProcessResult process(TaskContext context) throws Exception {
        if (isRootTask()) {
            int count = Integer.parseInt(context.getJobParams());
            Thread.sleep(LONG_ENOUGH_MS);
            map(IntStream.range(0, count).boxed().collect(Collectors.toList()), "PIECE");
            return new ProcessResult(true, "");
        }
        Record.write("begin", "piece " + context.getSubTask(), context);
        Thread.sleep(LONG_ENOUGH_MS);
        return new ProcessResult(true, System.getProperty("worker"));
    }

    @Override
    public ProcessResult reduce(TaskContext context, List<TaskResult> results) {
        return new ProcessResult(true, results.stream().filter(TaskResult::isSuccess).count() + " pieces");
    }
}
