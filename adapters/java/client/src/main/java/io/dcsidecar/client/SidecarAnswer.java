package io.dcsidecar.client;

import io.dcsidecar.v1.FilterWorkersResponse;
import io.dcsidecar.v1.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The sidecar's answer for one job and one list of candidates. */
final class SidecarAnswer<W> {
    private final CandidateSnapshot<W> candidates;
    private final int[] selected;
    private final boolean unrouted;
    /** Whether the datacenter served in place of those that the route sends jobs to first. */
    private final boolean asBackup;
    private final boolean forInstance;
    private final boolean undecided;
    private final String datacenter;
    private final String revision;
    private final long generation;
    /** The epoch the answer is valid in; null if there was no watch, the epoch changed meanwhile, or it must not be kept. */
    private final RoutingEpoch epoch;
    private final long receivedAt = MonotonicClock.now();

    /** @throws IllegalArgumentException if the indices in the response are not ascending positions in the candidate list */
    SidecarAnswer(CandidateSnapshot<W> candidates, FilterWorkersResponse response, RoutingEpoch epoch) {
        this.candidates = candidates;
        this.epoch = epoch;
        forInstance = response.getForInstance();
        undecided = response.getUndecided();
        datacenter = response.getDatacenter();
        revision = response.getRevision();
        generation = response.getGeneration();
        unrouted = response.getReason() == Reason.REASON_UNROUTED;
        asBackup = response.getReason() != Reason.REASON_ACTIVE && response.getReason() != Reason.REASON_SPLIT;
        selected = response.getIndicesList().stream().mapToInt(Integer::intValue).toArray();
        int previous = -1;
        for (int index : selected) {
            if (index <= previous || index >= candidates.size()) {
                throw new IllegalArgumentException("invalid answer from the sidecar: index " + index + " after " + previous
                        + ", expected ascending indices below " + candidates.size());
            }
            previous = index;
        }
    }

    /** Returns whether the sidecar would give the same answer in {@code current} for these workers. */
    boolean isValidIn(RoutingEpoch current, List<W> workers) {
        return epoch != null && epoch == current && isFor(workers);
    }

    /** Returns whether the answer is for one instance only. */
    boolean isForInstance() {
        return forInstance;
    }

    /** Returns whether the sidecar needs the next request as evidence of a fault, or of a return. */
    boolean isUndecided() {
        return undecided;
    }

    /** Returns whether these workers, in this order, are the candidates of this answer. */
    boolean isFor(List<W> workers) {
        return candidates.matches(workers);
    }

    /** Returns the selected workers by position; requires {@link #isFor}. */
    List<W> select(List<W> workers) {
        List<W> chosen = new ArrayList<>(selected.length);
        int index = 0;
        int next = 0;
        for (W worker : workers) {
            if (next < selected.length && selected[next] == index) {
                chosen.add(worker);
                next++;
            }
            index++;
        }
        return chosen;
    }

    /** Returns the selected workers by address, from a candidate list that may have changed since. */
    List<W> selectByAddress(SchedulerTypes<?, W> types, List<W> workers) {
        if (unrouted) {
            return workers;
        }
        Set<String> addresses = new HashSet<>();
        Arrays.stream(selected).forEach(index -> addresses.add(candidates.address(index)));
        List<W> chosen = new ArrayList<>(selected.length);
        for (W worker : workers) {
            if (addresses.contains(types.address(worker))) {
                chosen.add(worker);
            }
        }
        return chosen;
    }

    /**
     * Returns whether routes that became known after the answer contradict it: they keep the job out of its datacenter, or have made
     * a backup of it.
     *
     * @param names the application's names in the order of the request
     */
    boolean isContradictedBy(LastKnownRoutes routes, List<String> names, String job) {
        if (routes == null || routes.generation == generation && routes.revision.equals(revision)) {
            return false;
        }
        return datacenter.isEmpty() || !routes.allows(names, job, datacenter, asBackup);
    }

    /** Returns the nanoseconds since the sidecar last confirmed this answer. */
    long unconfirmedNanos() {
        return MonotonicClock.now() - (epoch == null ? receivedAt : Math.max(receivedAt, epoch.confirmedUntil()));
    }
}
