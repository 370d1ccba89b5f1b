import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import io.dcsidecar.v1.RoutingServiceGrpc;
import io.dcsidecar.v1.Worker;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Selects the workers for one job by the sidecar's answer, or all of them without an answer in time. */
public final class Dispatch {
    private static final long DEADLINE_MS = Long.getLong("deadline", 200);

    private final RoutingServiceGrpc.RoutingServiceBlockingStub sidecar;

    Dispatch(ManagedChannel channel) {
        sidecar = RoutingServiceGrpc.newBlockingStub(channel);
    }

    /** Returns the workers that may run the job now. */
    List<Worker> select(String app, String job, List<Worker> workers) {
        FilterWorkersRequest request = FilterWorkersRequest.newBuilder()
                .setApp(app).setJob(job).addAllCandidates(workers).setIndicesOnly(true).setDispatch(true).build();
        try {
            FilterWorkersResponse answer = sidecar.withDeadlineAfter(DEADLINE_MS, TimeUnit.MILLISECONDS).filterWorkers(request);
            List<Worker> selected = new ArrayList<>();
            answer.getIndicesList().forEach(index -> selected.add(workers.get(index)));
            return selected;
        } catch (StatusRuntimeException failure) {
            System.err.println("no answer from the sidecar, every worker may run job " + job + ": " + failure.getStatus());
            return workers;
        }
    }

    public static void main(String[] arguments) {
        List<Worker> workers = Arrays.asList(
                Worker.newBuilder().setAddress("10.1.0.7:27777").setMetrics("dc1").build(),
                Worker.newBuilder().setAddress("10.2.0.9:27777").setMetrics("dc2").build(),
                Worker.newBuilder().setAddress("10.3.0.4:27777").setTag("dc2").build());
        ManagedChannel channel = Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
        StringBuilder line = new StringBuilder("run job 1001 on");
        new Dispatch(channel).select("billing", "1001", workers).forEach(worker -> line.append(' ').append(worker.getAddress()));
        System.out.println(line);
        channel.shutdownNow();
    }
}
