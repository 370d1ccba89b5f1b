package io.dcsidecar.client;

/**
 * Reads what the sidecar needs from a scheduler's own types: {@code J} is a job, {@code W} a worker.
 *
 * <p>Methods are called for each decision, from any thread, so they must be quick. Those for workers may return null for unknown.
 */
public interface SchedulerTypes<J, W> {
    /** Returns the key of the job's answer: equal for runs that share one, with {@code equals} and {@code hashCode}. */
    Object key(J job);

    /** Returns the names of the job's application; called only if there is no valid answer for the job. */
    AppNames app(J job);

    /** Returns the job's id, which must stay the same from run to run. */
    String job(J job);

    /** Returns the worker's address, {@code host:port}. */
    String address(W worker);

    /** Returns the worker's tags, separated by commas. */
    String tag(W worker);

    /** Returns the worker's datacenter, or a JSON object with a {@code datacenter} member. */
    String metrics(W worker);
}
