package io.dcsidecar.powerjob.testworker;

import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.sdk.BasicProcessor;

/** Takes as many milliseconds as the job's parameters say, on one worker only where they end with its name: {@code 500@a}. */
public class Work implements BasicProcessor {
    private static final String WORKER = System.getProperty("worker");

    @Override
    public ProcessResult process(TaskContext context) throws InterruptedException {
        Record.write("begin", "work", context);
        String[] milliseconds = String.valueOf(context.getJobParams()).split("@");
        if (milliseconds[0].matches("\\d+") && (milliseconds.length == 1 || milliseconds[1].equals(WORKER))) {
            Thread.sleep(Long.parseLong(milliseconds[0]));
        }
        Record.write("end", "work", context);
        return new ProcessResult(true, WORKER);
    }
}
