package io.dcsidecar.powerjob.server;

import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says once that the sidecar gives no answers, and once that it does again; not for each job. */
final class Outage {
    private static final Logger LOG = LoggerFactory.getLogger(Outage.class);
    private static final long QUIET_NANOS = TimeUnit.SECONDS.toNanos(30);

    private volatile boolean on;
    private boolean said;
    private long begunAt;
    private long saidAt = -QUIET_NANOS;
    private long dispatches;

    /** A question went without an answer for {@code cause}; {@code instead} is what is done. */
    synchronized void unanswered(Throwable cause, String instead) {
        dispatches++;
        if (on) {
            return;
        }
        on = true;
        begunAt = Clock.now();
        dispatches = 1;
        said = begunAt - saidAt >= QUIET_NANOS;
        if (said) {
            saidAt = begunAt;
            LOG.warn("The sidecar gives no answer ({}); until it does: {}. Not said again for each job.", cause.getMessage(), instead);
        }
    }

    /** A question was answered. */
    void answered() {
        if (on) {
            end();
        }
    }

    boolean on() {
        return on;
    }

    private synchronized void end() {
        if (!on) {
            return;
        }
        on = false;
        if (said) {
            LOG.info("The sidecar answers again after {} s; {} questions went without its answer meanwhile.",
                    TimeUnit.NANOSECONDS.toSeconds(Clock.now() - begunAt), dispatches);
        }
    }
}
