package io.dcsidecar.powerjob.testworker;

import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.sdk.BasicProcessor;

/** Sleeps for the milliseconds in the job's parameters; {@code 500@a} sleeps on worker a only. */
public class SleepJob implements BasicProcessor {
    private static final String WORKER = System.getProperty("worker");

    @Override
    public ProcessResult process(TaskContext context) throws InterruptedException {
        RunLog.write("begin", "work", context);
        String[] milliseconds = String.valueOf(context.getJobParams()).split("@");
        if (milliseconds[0].matches("\\d+") && (milliseconds.length == 1 || milliseconds[1].equals(WORKER))) {
            Thread.sleep(Long.parseLong(milliseconds[0]));
        }
        RunLog.write("end", "work", context);
        return new ProcessResult(true, WORKER);
    }
}
