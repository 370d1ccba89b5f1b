package io.dcsidecar.client;

import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.RouteUpdate;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fetches answers on a thread of its own, so that a dispatch does not have to: after each change the answers for the jobs that were
 * dispatched lately, and at the first contact a few that make the connection and the code paths ready.
 */
final class Prefetcher<J, W> implements SidecarListener, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Prefetcher.class);
    private static final long DEADLINE_NANOS = TimeUnit.SECONDS.toNanos(2);
    /** Enough for class loading and the first compilation. */
    private static final int WARM_UP_CALLS = 50;

    private final SidecarClient sidecar;
    private final Router<J, W> router;
    private final Function<J, List<W>> candidates;
    private final AtomicBoolean pending = new AtomicBoolean();
    private volatile boolean warm;
    private final ExecutorService thread = Executors.newSingleThreadExecutor(task -> {
        Thread created = new Thread(task, "dc-sidecar-prefetch");
        created.setDaemon(true);
        return created;
    });

    Prefetcher(SidecarClient sidecar, Router<J, W> router, Function<J, List<W>> candidates) {
        this.sidecar = sidecar;
        this.router = router;
        this.candidates = candidates;
    }

    @Override
    public void onRoutes(RouteUpdate update, RoutingEpoch epoch) {
        if (pending.compareAndSet(false, true)) {
            try {
                thread.execute(this::run);
            } catch (RejectedExecutionException closed) {
                // The client is being closed.
            }
        }
    }

    /** Returns whether the first calls are done. */
    boolean isWarm() {
        return warm;
    }

    @Override
    public void close() {
        thread.shutdownNow();
    }

    private void run() {
        pending.set(false);
        try {
            if (!warm) {
                warmUp();
            }
            for (J job : router.recentJobs()) {
                if (pending.get() || sidecar.epoch() == null) {
                    return;
                }
                router.prefetch(job, candidates.apply(job), DEADLINE_NANOS);
            }
        } catch (RuntimeException | LinkageError failed) {
            // The dispatch asks again, and reports what fails.
            LOG.debug("Cannot fetch answers ahead: {}", failed.toString());
        }
    }

    /** Asks questions that nothing is dispatched by, of a name that no application has. */
    private void warmUp() {
        FilterWorkersRequest.Builder question = FilterWorkersRequest.newBuilder().setApp("dc-sidecar warm-up").setIndicesOnly(true);
        for (int call = 0; call < WARM_UP_CALLS; call++) {
            question.addCandidatesBuilder().setAddress("192.0.2.1:" + (call + 1));
            sidecar.filterWorkers(question.build(), DEADLINE_NANOS);
        }
        warm = true;
    }
}
