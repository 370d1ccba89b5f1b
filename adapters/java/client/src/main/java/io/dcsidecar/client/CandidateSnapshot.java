package io.dcsidecar.client;

import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.Worker;
import java.util.List;
import java.util.Objects;

/** The candidates of one request, reduced to the fields that a decision depends on: address, tag and metrics. */
final class CandidateSnapshot<W> {
    private final SchedulerTypes<?, W> types;
    private final String[] addresses;
    private final String[] tags;
    private final String[] metrics;

    CandidateSnapshot(SchedulerTypes<?, W> types, List<W> workers) {
        this.types = types;
        int count = workers.size();
        addresses = new String[count];
        tags = new String[count];
        metrics = new String[count];
        int index = 0;
        for (W worker : workers) {
            addresses[index] = types.address(worker);
            tags[index] = types.tag(worker);
            metrics[index] = types.metrics(worker);
            index++;
        }
    }

    /** Returns whether these workers, in this order, are the candidates of the snapshot. */
    boolean matches(List<W> workers) {
        if (workers.size() != addresses.length) {
            return false;
        }
        int index = 0;
        for (W worker : workers) {
            if (!Objects.equals(addresses[index], types.address(worker)) || !Objects.equals(tags[index], types.tag(worker))
                    || !WorkerMetrics.sameDatacenter(metrics[index], types.metrics(worker))) {
                return false;
            }
            index++;
        }
        return true;
    }

    /** Adds the candidates to a request. */
    void addTo(FilterWorkersRequest.Builder request) {
        for (int index = 0; index < addresses.length; index++) {
            Worker.Builder worker = request.addCandidatesBuilder();
            if (addresses[index] != null) {
                worker.setAddress(addresses[index]);
            }
            if (tags[index] != null) {
                worker.setTag(tags[index]);
            }
            worker.setMetrics(WorkerMetrics.forRouting(metrics[index]));
        }
    }

    int size() {
        return addresses.length;
    }

    String address(int index) {
        return addresses[index];
    }
}
