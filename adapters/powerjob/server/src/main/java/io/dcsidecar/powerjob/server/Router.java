package io.dcsidecar.powerjob.server;

import io.dcsidecar.powerjob.server.Counters.Origin;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.dcsidecar.v1.FilterWorkersResponse;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

/**
 * Decides which of its workers may run a job: from memory while that holds, else by asking the sidecar, else by the last
 * answer, else as the operator set for that case. Never throws, waits for the sidecar's timeout at most.
 */
final class Router {
    private static final int REMEMBERED_JOBS = 16_384;

    private final Settings settings;
    private final Sidecar sidecar;
    private final Function<Long, String> appNames;
    private final Counters counters;
    private final Memory memory = new Memory(REMEMBERED_JOBS);
    private final Outage outage = new Outage();

    Router(Settings settings, Sidecar sidecar, Function<Long, String> appNames, Counters counters) {
        this.settings = settings;
        this.sidecar = sidecar;
        this.appNames = appNames;
        this.counters = counters;
    }

    /** Returns those of {@code workers} that may run {@code job}, in their order; {@code instance} is null where unknown. */
    List<WorkerInfo> route(JobInfoDO job, Long instance, List<WorkerInfo> workers) {
        if (workers.isEmpty()) {
            return workers;
        }
        Memory.Key key = new Memory.Key(job.getAppId(), job.getId());
        Answer last = memory.get(key);
        if (last != null && last.holds(sidecar.view(), workers)) {
            return decided(Origin.MEMORY, last.choose(workers));
        }
        try {
            Answer answer = ask(job, instance, workers);
            memory.put(key, answer);
            outage.answered();
            return decided(Origin.SIDECAR, answer.choose(workers));
        } catch (RuntimeException | LinkageError unanswered) {
            return withoutSidecar(unanswered, last, workers);
        }
    }

    /** Tells whether the last question went without an answer. */
    boolean away() {
        return outage.on();
    }

    private Answer ask(JobInfoDO job, Long instance, List<WorkerInfo> workers) {
        Candidates candidates = new Candidates(workers);
        FilterWorkersRequest.Builder question = FilterWorkersRequest.newBuilder().setApp(String.valueOf(job.getAppId()))
                .setJob(String.valueOf(job.getId())).setIndicesOnly(true);
        String name = appNames.apply(job.getAppId());
        if (name != null) {
            question.addAppAliases(name);
        }
        if (instance != null) {
            question.setInstance(instance.toString());
        }
        candidates.addTo(question);
        View before = sidecar.view();
        FilterWorkersResponse response = sidecar.ask(question.build());
        boolean lasting = !response.getForInstance() && before != null && before == sidecar.view() && before.generation == response.getGeneration();
        return new Answer(candidates, response, lasting ? before : null);
    }

    private List<WorkerInfo> withoutSidecar(Throwable cause, Answer last, List<WorkerInfo> workers) {
        boolean open = settings.whenAway == Settings.WhenAway.OPEN;
        outage.unanswered(cause, "the last answer for the same job, for " + settings.lastAnswerFor.getSeconds() + " s at most, then "
                + (open ? "every worker may run it" : "no worker may run it") + " (dc-sidecar.when-away)");
        if (last != null && last.unconfirmedFor() <= settings.lastAnswerFor.toNanos()) {
            boolean same = last.isAbout(workers);
            List<WorkerInfo> chosen = same ? last.choose(workers) : last.chooseByAddress(workers);
            if (same || !chosen.isEmpty()) {
                return decided(Origin.LAST_ANSWER, chosen);
            }
        }
        return open ? decided(Origin.OPEN, workers) : decided(Origin.CLOSED, Collections.emptyList());
    }

    private List<WorkerInfo> decided(Origin origin, List<WorkerInfo> workers) {
        counters.decided(origin);
        if (workers.isEmpty()) {
            counters.withoutWorkers();
        }
        return workers;
    }
}
