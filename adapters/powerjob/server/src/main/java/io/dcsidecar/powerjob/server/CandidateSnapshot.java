package io.dcsidecar.powerjob.server;

import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.Worker;
import java.util.List;
import java.util.Objects;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.server.common.module.WorkerInfo;

/** The candidates of one request, reduced to the fields that a decision depends on: address, tag and extra metrics. */
final class CandidateSnapshot {
    private final String[] addresses;
    private final String[] tags;
    private final String[] extras;

    CandidateSnapshot(List<WorkerInfo> workers) {
        int count = workers.size();
        addresses = new String[count];
        tags = new String[count];
        extras = new String[count];
        int index = 0;
        for (WorkerInfo worker : workers) {
            addresses[index] = worker.getAddress();
            tags[index] = worker.getTag();
            extras[index] = extra(worker);
            index++;
        }
    }

    /** Returns whether these workers, in this order, are the candidates of the snapshot. */
    boolean matches(List<WorkerInfo> workers) {
        if (workers.size() != addresses.length) {
            return false;
        }
        int index = 0;
        for (WorkerInfo worker : workers) {
            if (!Objects.equals(addresses[index], worker.getAddress()) || !Objects.equals(tags[index], worker.getTag())
                    || !ExtraMetrics.sameDatacenter(extras[index], extra(worker))) {
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
            worker.setMetrics(ExtraMetrics.forRouting(extras[index]));
        }
    }

    int size() {
        return addresses.length;
    }

    String address(int index) {
        return addresses[index];
    }

    private static String extra(WorkerInfo worker) {
        SystemMetrics metrics = worker.getSystemMetrics();
        return metrics == null ? null : metrics.getExtra();
    }
}
