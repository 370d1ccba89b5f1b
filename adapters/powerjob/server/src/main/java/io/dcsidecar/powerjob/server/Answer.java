package io.dcsidecar.powerjob.server;

import io.dcsidecar.v1.FilterWorkersResponse;
import io.dcsidecar.v1.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tech.powerjob.server.common.module.WorkerInfo;

/** What the sidecar said of one job and its candidates. */
final class Answer {
    private final Candidates candidates;
    private final int[] selected;
    private final boolean unrouted;
    /** The view in which it holds; null where the sidecar was not watched, moved on meanwhile, or meant one instance only. */
    private final View view;
    private final long givenAt = Clock.now();

    /** @throws IllegalArgumentException where the response is no choice among the candidates, in their order */
    Answer(Candidates candidates, FilterWorkersResponse response, View view) {
        this.candidates = candidates;
        this.view = view;
        unrouted = response.getReason() == Reason.REASON_UNROUTED;
        selected = response.getIndicesList().stream().mapToInt(Integer::intValue).toArray();
        int previous = -1;
        for (int at : selected) {
            if (at <= previous || at >= candidates.size()) {
                throw new IllegalArgumentException("the sidecar chose candidate " + at + " after " + previous + " of "
                        + candidates.size());
            }
            previous = at;
        }
    }

    /** Tells whether this is what the sidecar would say now, asked about these workers. */
    boolean holds(View now, List<WorkerInfo> workers) {
        return view != null && view == now && isAbout(workers);
    }

    /** Tells whether these workers, in this order, are the candidates. */
    boolean isAbout(List<WorkerInfo> workers) {
        return candidates.match(workers);
    }

    /** Returns the chosen ones of {@code workers}, which this answer {@link #isAbout}. */
    List<WorkerInfo> choose(List<WorkerInfo> workers) {
        List<WorkerInfo> chosen = new ArrayList<>(selected.length);
        int at = 0;
        int next = 0;
        for (WorkerInfo worker : workers) {
            if (next < selected.length && selected[next] == at) {
                chosen.add(worker);
                next++;
            }
            at++;
        }
        return chosen;
    }

    /** Returns those of {@code workers}, whoever is there now, that this answer chose by address. */
    List<WorkerInfo> chooseByAddress(List<WorkerInfo> workers) {
        if (unrouted) {
            return workers;
        }
        Set<String> addresses = new HashSet<>();
        Arrays.stream(selected).forEach(at -> addresses.add(candidates.address(at)));
        List<WorkerInfo> chosen = new ArrayList<>(selected.length);
        for (WorkerInfo worker : workers) {
            if (addresses.contains(worker.getAddress())) {
                chosen.add(worker);
            }
        }
        return chosen;
    }

    /** Tells for how many nanoseconds nobody has confirmed this answer. */
    long unconfirmedFor() {
        return Clock.now() - (view == null ? givenAt : Math.max(givenAt, view.holdsUntil()));
    }
}
