package io.dcsidecar.client;

import io.dcsidecar.v1.AppRoute;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import io.dcsidecar.v1.GetStatusRequest;
import io.dcsidecar.v1.Reason;
import io.dcsidecar.v1.RouteUpdate;
import io.dcsidecar.v1.RoutingServiceGrpc;
import io.dcsidecar.v1.SidecarStatus;
import io.dcsidecar.v1.WatchRoutesRequest;
import io.dcsidecar.v1.WeightedDatacenter;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;

/** A sidecar that selects the workers of one datacenter by their metrics; tests can kill it, hang it, or make it answer wrongly. */
public final class FakeSidecar extends RoutingServiceGrpc.RoutingServiceImplBase implements AutoCloseable {
    public final List<FilterWorkersRequest> requests = new CopyOnWriteArrayList<>();
    public volatile Status failWith;
    public volatile int extraIndex = -1;
    public volatile boolean stalled;
    public volatile boolean forInstance;
    public volatile boolean undecided;
    /** Adds to each route update. */
    public volatile UnaryOperator<RouteUpdate.Builder> details = update -> update;
    private final List<StreamObserver<RouteUpdate>> watches = new CopyOnWriteArrayList<>();
    private volatile CountDownLatch hang = new CountDownLatch(0);
    private volatile String datacenter = "dc1";
    private volatile long generation = 1;
    private Server server;
    private int port;

    public FakeSidecar() {
        start();
    }

    public String target() {
        return "127.0.0.1:" + port;
    }

    public void start() {
        try {
            server = Grpc.newServerBuilderForPort(port, InsecureServerCredentials.create()).addService(this).build().start();
        } catch (IOException failed) {
            throw new IllegalStateException(failed);
        }
        port = server.getPort();
    }

    public void kill() {
        server.shutdownNow();
        try {
            server.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        watches.clear();
    }

    /** Restarts as a new process, which counts generations from 1 again. */
    public void restart() {
        kill();
        generation = 1;
        start();
    }

    public void hang() {
        hang = new CountDownLatch(1);
    }

    public void resume() {
        hang.countDown();
    }

    /** Routes everything to the datacenter {@code name} and notifies watchers. */
    public void switchTo(String name) {
        datacenter = name;
        generation++;
        if (!stalled) {
            watches.forEach(watch -> watch.onNext(update()));
        }
    }

    @Override
    public void filterWorkers(FilterWorkersRequest request, StreamObserver<FilterWorkersResponse> reply) {
        await();
        requests.add(request);
        if (failWith != null) {
            reply.onError(failWith.asRuntimeException());
            return;
        }
        FilterWorkersResponse.Builder response = FilterWorkersResponse.newBuilder().setGeneration(generation)
                .setRevision("r" + generation)
                .setDatacenter(datacenter).setReason(Reason.REASON_ACTIVE).setForInstance(forInstance)
                .setUndecided(undecided);
        for (int index = 0; index < request.getCandidatesCount(); index++) {
            if (request.getCandidates(index).getMetrics().contains(datacenter)) {
                response.addIndices(index);
            }
        }
        if (extraIndex >= 0) {
            response.addIndices(extraIndex);
        }
        reply.onNext(response.build());
        reply.onCompleted();
    }

    @Override
    public void watchRoutes(WatchRoutesRequest request, StreamObserver<RouteUpdate> watch) {
        watches.add(watch);
        watch.onNext(update());
    }

    @Override
    public void getStatus(GetStatusRequest request, StreamObserver<SidecarStatus> reply) {
        await();
        reply.onNext(SidecarStatus.newBuilder().setGeneration(generation).build());
        reply.onCompleted();
    }

    @Override
    public void close() {
        resume();
        server.shutdownNow();
    }

    private RouteUpdate update() {
        return details.apply(RouteUpdate.newBuilder().setGeneration(generation).setRevision("r" + generation).setDetailed(true)
                .setDefaultRoute(route("", datacenter))).build();
    }

    /** Returns the route of an application that {@code active} serves, with backups. */
    public static AppRoute route(String app, String active, String... backups) {
        return AppRoute.newBuilder().setApp(app).addWeights(WeightedDatacenter.newBuilder().setDatacenter(active).setWeight(1))
                .addAllBackups(Arrays.asList(backups)).build();
    }

    private void await() {
        try {
            hang.await(30, TimeUnit.SECONDS);
        } catch (InterruptedException killed) {
            Thread.currentThread().interrupt();
        }
    }
}
