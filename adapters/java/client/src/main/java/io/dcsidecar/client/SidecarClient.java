package io.dcsidecar.client;

import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import io.dcsidecar.v1.GetStatusRequest;
import io.dcsidecar.v1.RouteUpdate;
import io.dcsidecar.v1.RoutingServiceGrpc;
import io.dcsidecar.v1.WatchRoutesRequest;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The gRPC client of the sidecar: calls, a watch for changes, and a health check of both every second.
 *
 * <p>{@link #epoch} decides on cache validity: while it returns the same object, every answer of that epoch is valid. A stalled
 * watch is detected by comparing generations, a hung sidecar by the check's timeout.
 */
final class SidecarClient implements AutoCloseable {
    private static final long CHECK_INTERVAL_MS = 1000;
    private static final long CHECK_TIMEOUT_MS = 1000;
    private static final Status NOT_CONNECTED = Status.UNAVAILABLE.withDescription("not connected yet");

    private final Callable<ManagedChannel> connect;
    private final long timeoutNanos;
    private final ScheduledExecutorService checks = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "dc-sidecar-check");
        thread.setDaemon(true);
        return thread;
    });
    private final List<SidecarListener> listeners = new CopyOnWriteArrayList<>();
    private volatile ManagedChannel channel;
    /** Why calls fail fast at the moment; null if the sidecar answered last. */
    private volatile Status unavailable = NOT_CONNECTED;
    private volatile RoutingEpoch epoch;
    private final AtomicBoolean checkScheduled = new AtomicBoolean();
    private WatchStream watch;
    /** The epoch that lagged behind the sidecar at the last check. */
    private RoutingEpoch lagging;

    /** Connects at {@link #start}; if {@code connect} throws, each check retries it. */
    SidecarClient(Callable<ManagedChannel> connect, long timeoutNanos) {
        this.connect = connect;
        this.timeoutNanos = timeoutNanos;
    }

    void addListener(SidecarListener listener) {
        listeners.add(listener);
    }

    void start() {
        checks.scheduleWithFixedDelay(this::check, 0, CHECK_INTERVAL_MS, TimeUnit.MILLISECONDS);
    }

    /** Returns the current epoch, or null while there is no watch. */
    RoutingEpoch epoch() {
        return epoch;
    }

    /** Returns why the sidecar cannot be called at the moment; null if it answered last. */
    String unavailable() {
        Status status = unavailable;
        return status == null ? null : status.getDescription() == null ? status.getCode().name() : status.getDescription();
    }

    /** Returns whether the sidecar has answered or cannot be reached. A late answer says neither: a JVM that starts is slow itself. */
    boolean isContacted() {
        Status status = unavailable;
        return status == null || status != NOT_CONNECTED && status.getCode() != Status.Code.DEADLINE_EXCEEDED;
    }

    /**
     * Calls FilterWorkers with the configured timeout; fails fast while the sidecar is known to be unavailable.
     *
     * @throws StatusRuntimeException if there is no answer
     */
    FilterWorkersResponse filterWorkers(FilterWorkersRequest request) {
        return filterWorkers(request, timeoutNanos);
    }

    /** As {@link #filterWorkers(FilterWorkersRequest)}, with a deadline of its own, for calls that no dispatch waits for. */
    FilterWorkersResponse filterWorkers(FilterWorkersRequest request, long deadlineNanos) {
        Status failFast = unavailable;
        if (failFast != null) {
            throw failFast.asRuntimeException();
        }
        try {
            return RoutingServiceGrpc.newBlockingStub(channel).withDeadlineAfter(deadlineNanos, TimeUnit.NANOSECONDS)
                    .filterWorkers(request);
        } catch (StatusRuntimeException failed) {
            Status.Code code = failed.getStatus().getCode();
            if (code == Status.Code.DEADLINE_EXCEEDED || code == Status.Code.UNAVAILABLE) {
                Status status = withRootCause(failed.getStatus());
                unavailable = status;
                checkSoon();
                throw status.asRuntimeException();
            }
            throw failed;
        }
    }

    @Override
    public void close() {
        checks.shutdownNow();
        ManagedChannel open = channel;
        if (open != null) {
            open.shutdownNow();
        }
    }

    private void checkSoon() {
        if (!checkScheduled.compareAndSet(false, true)) {
            return;
        }
        try {
            checks.execute(() -> {
                checkScheduled.set(false);
                check();
            });
        } catch (RejectedExecutionException closed) {
            // The client is being closed; no further calls are made.
        }
    }

    private void check() {
        try {
            if (channel == null) {
                channel = connect.call();
            }
            // Without a reset the channel's own backoff grows to two minutes.
            channel.resetConnectBackoff();
            long generation = RoutingServiceGrpc.newBlockingStub(channel).withDeadlineAfter(CHECK_TIMEOUT_MS, TimeUnit.MILLISECONDS)
                    .getStatus(GetStatusRequest.getDefaultInstance()).getGeneration();
            unavailable = null;
            if (watch != null && watch.isStalled(generation)) {
                watch.stop("stalled: the sidecar is at generation " + generation + ", which the watch did not report");
            }
            if (watch == null || watch.ended) {
                watch = new WatchStream(channel);
            }
        } catch (StatusRuntimeException failed) {
            unavailable = withRootCause(failed.getStatus());
            if (watch != null) {
                watch.stop("the sidecar does not answer: " + unavailable);
            }
        } catch (Exception | LinkageError failed) {
            unavailable = Status.UNAVAILABLE.withDescription("cannot connect: " + failed);
        }
        listeners.forEach(listener -> listener.onCheck(unavailable == null));
    }

    /** Puts the root cause, such as a refused connection, into the description, which is what gets logged. */
    private static Status withRootCause(Status status) {
        Throwable root = status.getCause();
        while (root != null && root.getCause() != null) {
            root = root.getCause();
        }
        return root == null ? status : status.withDescription(root.getMessage() == null ? root.toString() : root.getMessage());
    }

    /** One WatchRoutes stream. It ends once; the next check opens another. */
    private final class WatchStream implements ClientResponseObserver<WatchRoutesRequest, RouteUpdate> {
        private ClientCallStreamObserver<WatchRoutesRequest> call;
        private volatile boolean ended;
        private volatile RoutingEpoch latest;

        WatchStream(ManagedChannel channel) {
            RoutingServiceGrpc.newStub(channel).watchRoutes(WatchRoutesRequest.newBuilder().setDetail(true).build(), this);
        }

        @Override
        public void beforeStart(ClientCallStreamObserver<WatchRoutesRequest> starting) {
            call = starting;
        }

        @Override
        public void onNext(RouteUpdate update) {
            synchronized (SidecarClient.this) {
                if (ended) {
                    return;
                }
                replaceEpoch(new RoutingEpoch(update.getGeneration(), update.getRevision(), update.getStale()));
                latest = epoch;
                listeners.forEach(listener -> listener.onRoutes(update, latest));
            }
        }

        @Override
        public void onError(Throwable cause) {
            end();
        }

        @Override
        public void onCompleted() {
            onError(null);
        }

        /** Returns whether the sidecar was ahead of this watch at two checks in a row without an update in between. */
        boolean isStalled(long generation) {
            RoutingEpoch current = latest;
            boolean behind = !ended && current != null && current.generation != generation;
            boolean stalled = behind && current == lagging;
            lagging = behind ? current : null;
            return stalled;
        }

        void stop(String reason) {
            end();
            call.cancel(reason, null);
        }

        private void end() {
            synchronized (SidecarClient.this) {
                if (!ended) {
                    ended = true;
                    replaceEpoch(null);
                }
            }
        }
    }

    private void replaceEpoch(RoutingEpoch next) {
        RoutingEpoch previous = epoch;
        epoch = next;
        if (previous != null) {
            previous.end();
        }
    }
}
