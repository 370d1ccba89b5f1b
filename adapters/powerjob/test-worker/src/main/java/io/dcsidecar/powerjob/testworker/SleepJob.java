package io.dcsidecar.powerjob.testworker;

import tech.powerjob.worker.core.processor.ProcessResult;
import tech.powerjob.worker.core.processor.TaskContext;
import tech.powerjob.worker.core.processor.sdk.BasicProcessor;

/** Sleeps for the milliseconds in the job's parameters; {@code 500@a} sleeps that long on worker a only. */
public class SleepJob implements BasicProcessor {
    /**
     * PowerJob's server writes down a dispatch after it has sent it: over the success of a job that ended sooner, which
     * it then takes for lost. 5.1.1 dispatches it once more a minute later; 4.3.9 had not within 150 s.
     */
    private static final long MIN_DURATION_MS = 200;

    private static final String WORKER = System.getProperty("worker");

    @Override
    public ProcessResult process(TaskContext context) throws InterruptedException {
        RunLog.write("begin", "work", context);
        Thread.sleep(milliseconds(String.valueOf(context.getJobParams()).split("@")));
        RunLog.write("end", "work", context);
        return new ProcessResult(true, WORKER);
    }

    private static long milliseconds(String[] parameters) {
        boolean here = parameters.length == 1 || parameters[1].equals(WORKER);
        return here && parameters[0].matches("\\d+") ? Long.parseLong(parameters[0]) : MIN_DURATION_MS;
    }
}
