package io.dcsidecar.powerjob.server;

import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs the beginning and the end of an outage of the sidecar, once each rather than once per job. */
final class OutageLog {
    private static final Logger LOG = LoggerFactory.getLogger(OutageLog.class);
    private static final long MIN_INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(30);

    private volatile boolean ongoing;
    private boolean logged;
    private long beganAt;
    private long loggedAt = -MIN_INTERVAL_NANOS;
    private long unansweredRequests;

    /** Records a request that failed with {@code cause}; {@code fallback} says how the job is decided instead. */
    synchronized void recordFailure(Throwable cause, String fallback) {
        unansweredRequests++;
        if (ongoing) {
            return;
        }
        ongoing = true;
        beganAt = MonotonicClock.now();
        unansweredRequests = 1;
        logged = beganAt - loggedAt >= MIN_INTERVAL_NANOS;
        if (logged) {
            loggedAt = beganAt;
            LOG.warn("No answer from the sidecar ({}). Until it recovers: {}. Logged once per outage.", cause.getMessage(), fallback);
        }
    }

    /** Records a request that was answered. */
    void recordSuccess() {
        if (ongoing) {
            end();
        }
    }

    boolean isOngoing() {
        return ongoing;
    }

    private synchronized void end() {
        if (!ongoing) {
            return;
        }
        ongoing = false;
        if (logged) {
            LOG.info("Sidecar recovered after {} s; {} requests went unanswered.",
                    TimeUnit.NANOSECONDS.toSeconds(MonotonicClock.now() - beganAt), unansweredRequests);
        }
    }
}
