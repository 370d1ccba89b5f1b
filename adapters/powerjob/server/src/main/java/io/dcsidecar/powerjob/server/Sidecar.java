package io.dcsidecar.powerjob.server;

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
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The connection to the sidecar: asks, watches for changes, and looks every second whether both still work.
 *
 * <p>{@link #view} is the one word on freshness: while it returns the same object, every answer of that view holds. A watch
 * that is silent because it is deaf is found out by comparing generations, a sidecar that hangs by its silence.
 */
final class Sidecar implements AutoCloseable {
    private static final long CHECK_EVERY_MS = 1000;
    private static final long CHECK_TIMEOUT_MS = 1000;

    private final Callable<ManagedChannel> connect;
    private final long timeoutNanos;
    private final ScheduledExecutorService checks = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "dc-sidecar-check");
        thread.setDaemon(true);
        return thread;
    });
    private volatile ManagedChannel channel;
    /** Why nobody is asked at the moment; null where the sidecar may well answer. */
    private volatile Status away = Status.UNAVAILABLE.withDescription("not connected yet");
    private volatile View view;
    private final AtomicBoolean checkComes = new AtomicBoolean();
    private Watch watch;
    private View suspect;

    /** Connects at {@link #start}; where {@code connect} throws, tries again at each check. */
    Sidecar(Callable<ManagedChannel> connect, long timeoutNanos) {
        this.connect = connect;
        this.timeoutNanos = timeoutNanos;
    }

    void start() {
        checks.scheduleWithFixedDelay(this::check, 0, CHECK_EVERY_MS, TimeUnit.MILLISECONDS);
    }

    /** Returns the view that answers are given in now, or null while nobody can tell. */
    View view() {
        return view;
    }

    /**
     * Asks the sidecar, for {@code timeout} at most; not at all while it is known to be away.
     *
     * @throws StatusRuntimeException where there is no answer
     */
    FilterWorkersResponse ask(FilterWorkersRequest request) {
        Status why = away;
        if (why != null) {
            throw why.asRuntimeException();
        }
        try {
            return RoutingServiceGrpc.newBlockingStub(channel).withDeadlineAfter(timeoutNanos, TimeUnit.NANOSECONDS)
                    .filterWorkers(request);
        } catch (StatusRuntimeException failed) {
            Status.Code code = failed.getStatus().getCode();
            if (code == Status.Code.DEADLINE_EXCEEDED || code == Status.Code.UNAVAILABLE) {
                Status gone = withCause(failed.getStatus());
                away = gone;
                checkSoon();
                throw gone.asRuntimeException();
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
        if (!checkComes.compareAndSet(false, true)) {
            return;
        }
        try {
            checks.execute(() -> {
                checkComes.set(false);
                check();
            });
        } catch (RejectedExecutionException closed) {
            // The scheduler is on its way down; nobody asks again.
        }
    }

    private void check() {
        try {
            if (channel == null) {
                channel = connect.call();
            }
            // Else the channel waits longer and longer before it tries again, up to two minutes.
            channel.resetConnectBackoff();
            long generation = RoutingServiceGrpc.newBlockingStub(channel).withDeadlineAfter(CHECK_TIMEOUT_MS, TimeUnit.MILLISECONDS)
                    .getStatus(GetStatusRequest.getDefaultInstance()).getGeneration();
            away = null;
            if (watch != null && watch.isDeaf(generation)) {
                watch.stop("the sidecar is at generation " + generation + " and the watch did not say so");
            }
            if (watch == null || watch.ended) {
                watch = new Watch(channel);
            }
        } catch (StatusRuntimeException failed) {
            away = withCause(failed.getStatus());
            if (watch != null) {
                watch.stop("the sidecar does not answer: " + away);
            }
        } catch (Exception | LinkageError unusable) {
            away = Status.UNAVAILABLE.withDescription("cannot connect: " + unusable);
        }
    }

    /** Puts the innermost cause, such as a refused connection, into the description, which is what gets logged. */
    private static Status withCause(Status status) {
        Throwable root = status.getCause();
        while (root != null && root.getCause() != null) {
            root = root.getCause();
        }
        return root == null ? status : status.withDescription(root.getMessage() == null ? root.toString() : root.getMessage());
    }

    /** One stream of WatchRoutes; ends once and is replaced by another. */
    private final class Watch implements ClientResponseObserver<WatchRoutesRequest, RouteUpdate> {
        private ClientCallStreamObserver<WatchRoutesRequest> call;
        private volatile boolean ended;
        private volatile View seen;

        Watch(ManagedChannel channel) {
            RoutingServiceGrpc.newStub(channel).watchRoutes(WatchRoutesRequest.getDefaultInstance(), this);
        }

        @Override
        public void beforeStart(ClientCallStreamObserver<WatchRoutesRequest> starting) {
            call = starting;
        }

        @Override
        public void onNext(RouteUpdate update) {
            synchronized (Sidecar.this) {
                if (ended) {
                    return;
                }
                replaceView(new View(update.getGeneration(), update.getRevision(), update.getStale()));
                seen = view;
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

        /** Tells whether the sidecar was ahead of this watch at the last check, and the watch has heard nothing since. */
        boolean isDeaf(long generation) {
            View heard = seen;
            boolean behind = !ended && heard != null && heard.generation != generation;
            boolean still = behind && heard == suspect;
            suspect = behind ? heard : null;
            return still;
        }

        void stop(String why) {
            end();
            call.cancel(why, null);
        }

        private void end() {
            synchronized (Sidecar.this) {
                if (!ended) {
                    ended = true;
                    replaceView(null);
                }
            }
        }
    }

    private void replaceView(View next) {
        View previous = view;
        view = next;
        if (previous != null) {
            previous.end();
        }
    }
}
