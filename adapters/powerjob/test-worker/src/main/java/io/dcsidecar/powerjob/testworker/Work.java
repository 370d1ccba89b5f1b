package io.dcsidecar.powerjob.testworker;

import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.sdk.BasicProcessor;

/** Takes as many milliseconds as its parameters say, and writes down when it begins and ends. */
public class Work implements BasicProcessor {
    @Override
    public ProcessResult process(TaskContext context) throws InterruptedException {
        Record.write("begin", "work", context);
        String milliseconds = context.getInstanceParams() != null && !context.getInstanceParams().isEmpty()
                ? context.getInstanceParams() : context.getJobParams();
        if (milliseconds != null && !milliseconds.isEmpty()) {
            Thread.sleep(Long.parseLong(milliseconds));
        }
        Record.write("end", "work", context);
        return new ProcessResult(true, System.getProperty("worker"));
    }
}
