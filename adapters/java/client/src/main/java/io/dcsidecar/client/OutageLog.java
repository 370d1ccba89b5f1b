package io.dcsidecar.client;

import io.dcsidecar.client.DecisionCounters.Origin;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Logs and counts each episode in which runs are decided without the sidecar: its beginning, and its end with the number of runs.
 *
 * <p>An episode ends at a check that the sidecar answers, a second or more after the last request without an answer. So a sidecar
 * that fails now and then causes at most one episode every other second.
 */
final class OutageLog implements SidecarListener {
    private static final Logger LOG = LoggerFactory.getLogger(OutageLog.class);
    private static final long QUIET_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final Map<Origin, Long> runs = new EnumMap<>(Origin.class);
    private volatile boolean ongoing;
    private volatile long episodes;
    private long beganAt;
    private long failedAt;

    /** Records a run that was decided by {@code origin}, as the sidecar did not answer because of {@code cause}. */
    synchronized void recordRun(Throwable cause, Origin origin, String fallback) {
        failedAt = MonotonicClock.now();
        if (!ongoing) {
            ongoing = true;
            episodes++;
            beganAt = failedAt;
            runs.clear();
            LOG.warn("No answer from the sidecar ({}). Until it recovers, runs are decided without it: {}.", cause.getMessage(), fallback);
        }
        runs.merge(origin, 1L, Long::sum);
    }

    @Override
    public synchronized void onCheck(boolean answered) {
        if (answered && ongoing && MonotonicClock.now() - failedAt >= QUIET_NANOS) {
            end("Sidecar recovered");
        }
    }

    /** Ends the episode as the client is closed. */
    synchronized void close() {
        if (ongoing) {
            end("Client closed while the sidecar is unreachable");
        }
    }

    boolean isOngoing() {
        return ongoing;
    }

    /** Returns the number of episodes so far. */
    long episodes() {
        return episodes;
    }

    private void end(String what) {
        ongoing = false;
        long count = runs.values().stream().mapToLong(Long::longValue).sum();
        LOG.warn("{} after {} s; {} {} decided without it: {}.", what, TimeUnit.NANOSECONDS.toSeconds(MonotonicClock.now() - beganAt),
                count, count == 1 ? "run was" : "runs were", runs.entrySet().stream()
                        .map(entry -> entry.getValue() + " " + entry.getKey().description).collect(Collectors.joining(", ")));
    }
}
