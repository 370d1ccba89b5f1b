package io.dcsidecar.powerjob.server;

import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.Worker;
import java.util.List;
import java.util.Objects;
import tech.powerjob.common.model.SystemMetrics;
import tech.powerjob.server.common.module.WorkerInfo;

/** The workers a question was asked about, as far as the answer can depend on them: address, tag and extra metrics. */
final class Candidates {
    private final String[] addresses;
    private final String[] tags;
    private final String[] extras;

    Candidates(List<WorkerInfo> workers) {
        int count = workers.size();
        addresses = new String[count];
        tags = new String[count];
        extras = new String[count];
        int at = 0;
        for (WorkerInfo worker : workers) {
            addresses[at] = worker.getAddress();
            tags[at] = worker.getTag();
            extras[at] = extra(worker);
            at++;
        }
    }

    /** Tells whether these workers, in this order, are the ones asked about. */
    boolean match(List<WorkerInfo> workers) {
        if (workers.size() != addresses.length) {
            return false;
        }
        int at = 0;
        for (WorkerInfo worker : workers) {
            if (!Objects.equals(addresses[at], worker.getAddress()) || !Objects.equals(tags[at], worker.getTag())
                    || !ExtraMetrics.sameDatacenter(extras[at], extra(worker))) {
                return false;
            }
            at++;
        }
        return true;
    }

    void addTo(FilterWorkersRequest.Builder request) {
        for (int at = 0; at < addresses.length; at++) {
            Worker.Builder worker = request.addCandidatesBuilder();
            if (addresses[at] != null) {
                worker.setAddress(addresses[at]);
            }
            if (tags[at] != null) {
                worker.setTag(tags[at]);
            }
            worker.setMetrics(ExtraMetrics.forRouting(extras[at]));
        }
    }

    int size() {
        return addresses.length;
    }

    String address(int at) {
        return addresses[at];
    }

    private static String extra(WorkerInfo worker) {
        SystemMetrics metrics = worker.getSystemMetrics();
        return metrics == null ? null : metrics.getExtra();
    }
}
