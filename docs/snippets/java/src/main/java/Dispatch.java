import io.dcsidecar.client.ClientSettings;
import io.dcsidecar.client.Job;
import io.dcsidecar.client.RoutingClient;
import io.dcsidecar.client.Worker;
import java.util.Arrays;
import java.util.List;

/** Selects the workers for one job by the sidecar's answer, or without one as dc-sidecar.on-outage says. */
public final class Dispatch {
    private Dispatch() {}

    public static void main(String[] arguments) throws InterruptedException {
        List<Worker> workers = Arrays.asList(
                Worker.at("10.1.0.7:27777").in("dc1"),
                Worker.at("10.2.0.9:27777").in("dc2"),
                Worker.at("10.3.0.4:27777").tagged("dc2"));
        System.setProperty("dc-sidecar.target", arguments[0]);
        try (RoutingClient<Job, Worker> client = RoutingClient.open(ClientSettings.ofThisProcess())) {
            // A scheduler opens the client when it starts, long before its first job.
            client.awaitFirstContact(5000);
            StringBuilder line = new StringBuilder("run job 1001 on");
            client.select(new Job("billing", "1001"), workers).forEach(worker -> line.append(' ').append(worker.address()));
            System.out.println(line);
        }
    }
}
