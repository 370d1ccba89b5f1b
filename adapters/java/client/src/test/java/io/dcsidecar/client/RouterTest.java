package io.dcsidecar.client;

import static io.dcsidecar.client.Fixtures.addresses;
import static io.dcsidecar.client.Fixtures.eventually;
import static io.dcsidecar.client.Fixtures.job;
import static io.dcsidecar.client.Fixtures.workers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dcsidecar.client.DecisionCounters.Origin;
import io.dcsidecar.v1.AppRoute;
import io.dcsidecar.v1.DatacenterInfo;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.grpc.Status;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class RouterTest {
    private final FakeSidecar fake = new FakeSidecar();
    private final DecisionCounters counters = new DecisionCounters();
    private final RouteMemory memory = new RouteMemory(null);
    private final OutageLog outage = new OutageLog();
    private SidecarClient sidecar;

    @AfterEach
    void close() {
        sidecar.close();
        fake.close();
    }

    @Test
    @DisplayName("A request carries the application's id and name, the job, the instance, and each worker's address, tag and metrics")
    void request() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "{\"datacenter\":\"dc2\",\"load\":1}", null);
        workers.set(2, workers.get(2).tagged("dc1,gpu"));
        router.route(job(42), "99", workers);
        FilterWorkersRequest request = fake.requests.get(0);
        assertEquals("billing", request.getApp());
        assertEquals("7", request.getAppAliases(0));
        assertTrue(request.getDispatch());
        assertEquals("42", request.getJob());
        assertEquals("99", request.getInstance());
        assertTrue(request.getIndicesOnly());
        assertEquals("10.0.0.1:27777", request.getCandidates(0).getAddress());
        assertEquals("dc1", request.getCandidates(0).getMetrics());
        assertEquals("{\"datacenter\":\"dc2\"}", request.getCandidates(1).getMetrics());
        assertEquals("dc1,gpu", request.getCandidates(2).getTag());
    }

    @Test
    @DisplayName("In the steady state no dispatch calls the sidecar; a switch causes exactly one call")
    void cachedAnswer() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc2", "dc1");
        for (int dispatch = 0; dispatch < 5; dispatch++) {
            assertEquals(addresses(1, 3), addresses(router.route(job(1), null, workers)));
        }
        assertEquals(1, fake.requests.size());
        assertEquals(4, counters.decisions(Origin.MEMORY));
        switchTo("dc2");
        for (int dispatch = 0; dispatch < 5; dispatch++) {
            assertEquals(addresses(2), addresses(router.route(job(1), null, workers)));
        }
        assertEquals(2, fake.requests.size());
    }

    @Test
    @DisplayName("A worker that joins, leaves or moves causes a call; new load figures do not")
    void candidatesChange() {
        Router<Job, Worker> router = router();
        router.route(job(1), null, workers("dc1", "{\"datacenter\":\"dc1\",\"load\":1}"));
        router.route(job(1), null, workers("dc1", "{\"datacenter\":\"dc1\",\"load\":2}"));
        assertEquals(1, fake.requests.size());
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1"))));
        assertEquals(addresses(1, 2), addresses(router.route(job(1), null, workers("dc1", "dc1"))));
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(4, fake.requests.size());
    }

    @Test
    @DisplayName("An answer that the sidecar marks undecided is asked for again at each dispatch")
    void undecided() {
        Router<Job, Worker> router = router();
        fake.undecided = true;
        router.route(job(1), "11", workers("dc1"));
        router.route(job(1), "12", workers("dc1"));
        assertEquals(2, fake.requests.size());
        fake.undecided = false;
        router.route(job(1), "13", workers("dc1"));
        router.route(job(1), "14", workers("dc1"));
        assertEquals(3, fake.requests.size());
    }

    @Test
    @DisplayName("All instances of a job share an answer unless the sidecar marks it for_instance")
    void forInstance() {
        Router<Job, Worker> router = router();
        router.route(job(1), "11", workers("dc1"));
        router.route(job(1), "12", workers("dc1"));
        assertEquals(1, fake.requests.size());
        fake.forInstance = true;
        router.route(job(2), "21", workers("dc1"));
        router.route(job(2), "22", workers("dc1"));
        assertEquals("21", fake.requests.get(1).getInstance());
        assertEquals("22", fake.requests.get(2).getInstance());
        kill();
        assertEquals(addresses(1), addresses(router.route(job(2), "23", workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.LAST_ANSWER));
    }

    @Test
    @DisplayName("Sidecar killed: the last answer for the job still applies to its remaining workers; new workers are left out")
    void lastAnswer() {
        Router<Job, Worker> router = router();
        router.route(job(1), null, workers("dc1", "dc2", "dc1"));
        kill();
        assertEquals(addresses(1, 3), addresses(router.route(job(1), null, workers("dc1", "dc2", "dc1", "dc2"))));
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(2, counters.decisions(Origin.LAST_ANSWER));
        assertTrue(router.isSidecarAway());
    }

    @Test
    @DisplayName("Sidecar killed: a job without a cached answer is allowed every worker with on-outage=open, and none with closed")
    void openAndClosed() {
        Router<Job, Worker> open = router("on-outage", "open");
        kill();
        assertEquals(addresses(1, 2), addresses(open.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.OPEN));
        Router<Job, Worker> closed = new Router<>(Fixtures.settings("when-away", "closed"), Fixtures.TYPES, sidecar, memory, outage, counters);
        assertEquals(addresses(), addresses(closed.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.CLOSED));
        assertEquals(1, counters.withoutWorkers());
    }

    @Test
    @DisplayName("Sidecar killed: a job without a cached answer runs where the last known routes and outages allow, by default")
    void lastKnownRoutes() {
        fake.details = update -> update.clearDefaultRoute().setDefaultRoute(FakeSidecar.route("", "dc1", "dc2"))
                .addRoutes(FakeSidecar.route("7", "dc2")).addRoutes(FakeSidecar.route("8", "dc2", "dc1"))
                .addJobRoutes(FakeSidecar.route("7", "dc3").toBuilder().setJob("9"))
                .addOutages(AppRoute.Outage.newBuilder().setDatacenter("dc2").setApp("8"))
                .addDatacenters(DatacenterInfo.newBuilder().setName("dc3").addCidrs("10.0.0.4/32"))
                .addDatacenters(DatacenterInfo.newBuilder().setName("dc4").addCidrs("10.0.0.0/24"));
        Router<Job, Worker> router = router();
        kill();
        List<Worker> workers = workers("dc1", "dc2", "dc1", null, null);
        assertEquals(addresses(2), addresses(router.route(job(1), null, workers)), "the application's route, by its number");
        assertEquals(addresses(4), addresses(router.route(job(9), null, workers)), "a job's own route, by the worker's address");
        Job other = new Job("8", "1");
        assertEquals(addresses(1, 3), addresses(router.route(other, null, workers)), "the backup, as dc2 is out for it");
        other = new Job("9", "1");
        assertEquals(addresses(1, 3), addresses(router.route(other, null, workers)), "the default route, not its backup");
        assertEquals(addresses(2), addresses(router.route(other, null, workers("dc9", "dc2"))), "the backup, if nobody else is there");
        assertEquals(addresses(), addresses(router.route(other, null, workers("dc9", "dc3"))), "nobody where nobody may");
        assertEquals(6, counters.decisions(Origin.LAST_KNOWN));
        assertEquals(0, counters.decisions(Origin.OPEN));
        assertEquals(1, router.outages());
    }

    @Test
    @DisplayName("Sidecar killed: drained workers get no work, by the last known routes and by the last answer")
    void drainedWorkers() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc1", "dc1", "dc1");
        router.route(job(1), null, workers);
        fake.details = update -> update.addDrainedWorkers("10.0.0.1:*").addDrainedWorkers("10.0.0.2/32").addDrainedWorkers("*.4:27777");
        RoutingEpoch previous = sidecar.epoch();
        fake.switchTo("dc1");
        eventually("the drain arrives", () -> sidecar.epoch() != previous);
        kill();
        assertEquals(addresses(3), addresses(router.route(job(1), null, workers)));
        assertEquals(addresses(3), addresses(router.route(job(2), null, workers)));
        assertEquals(1, counters.decisions(Origin.LAST_ANSWER));
        assertEquals(1, counters.decisions(Origin.LAST_KNOWN));
    }

    @Test
    @DisplayName("Sidecar killed after a switch: the last answer from before the switch is not used, that of another job is")
    void contradictedAnswer() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc2");
        router.route(job(1), null, workers);
        switchTo("dc2");
        router.route(job(2), null, workers);
        kill();
        assertEquals(addresses(2), addresses(router.route(job(1), null, workers)));
        assertEquals(1, counters.decisions(Origin.LAST_KNOWN));
        assertEquals(addresses(2), addresses(router.route(job(2), null, workers)));
        assertEquals(1, counters.decisions(Origin.LAST_ANSWER));
    }

    @Test
    @DisplayName("Sidecar killed after a switch: an answer of the datacenter that has become a backup is not used")
    void answerOfTheFormerDatacenter() {
        fake.details = update -> update.setDefaultRoute(
                FakeSidecar.route("", update.getDefaultRoute().getWeights(0).getDatacenter(), "dc1", "dc2"));
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc2");
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers)));
        switchTo("dc2");
        kill();
        assertEquals(addresses(2), addresses(router.route(job(1), null, workers)));
        assertEquals(1, counters.decisions(Origin.LAST_KNOWN));
    }

    @Test
    @DisplayName("Answers for the jobs dispatched lately are fetched after a change, so that the next dispatch calls nobody")
    void prefetch() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc2");
        Prefetcher<Job, Worker> prefetcher = new Prefetcher<>(sidecar, router, job -> workers);
        sidecar.addListener(prefetcher);
        for (long id = 1; id <= 20; id++) {
            router.route(job(id), null, workers);
        }
        switchTo("dc2");
        eventually("all are fetched", () -> counters.prefetched() == 20);
        for (long id = 1; id <= 20; id++) {
            assertEquals(addresses(2), addresses(router.route(job(id), null, workers)));
        }
        assertEquals(20, counters.decisions(Origin.MEMORY));
        assertTrue(prefetcher.isWarm());
        assertEquals(20, fake.requests.stream().filter(request -> !request.getDispatch()).map(FilterWorkersRequest::getApp)
                .filter("dc-sidecar warm-up"::equals).limit(20).count());
        prefetcher.close();
    }

    @Test
    @DisplayName("An answer unconfirmed for longer than last-answer-for is not used")
    void expiredAnswer() {
        Router<Job, Worker> router = router("last-answer-for", "1ms", "on-outage", "open");
        router.route(job(1), null, workers("dc1", "dc2"));
        kill();
        eventually("the answer expires",
                () -> addresses(router.route(job(1), null, workers("dc1", "dc2"))).equals(addresses(1, 2)));
        assertTrue(counters.decisions(Origin.OPEN) > 0);
    }

    @Test
    @DisplayName("last-answer-for counts from the loss of the sidecar, not from the request")
    void ageCountsFromTheLoss() throws InterruptedException {
        Router<Job, Worker> router = router("last-answer-for", "2s");
        router.route(job(1), null, workers("dc1", "dc2"));
        Thread.sleep(2100);
        kill();
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.LAST_ANSWER));
    }

    @Test
    @DisplayName("A restarted sidecar with another route is followed although its generation numbers repeat")
    void restart() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc2");
        router.route(job(1), null, workers);
        RoutingEpoch previous = sidecar.epoch();
        fake.kill();
        fake.switchTo("dc2");
        fake.restart();
        eventually("the watch is back", () -> sidecar.epoch() != null && sidecar.epoch() != previous);
        assertEquals(addresses(2), addresses(router.route(job(1), null, workers)));
        eventually("the outage ends", () -> !router.isSidecarAway());
    }

    @Test
    @DisplayName("A hung sidecar costs one dispatch the timeout and later ones nothing, and is used again once it responds")
    void hang() {
        Router<Job, Worker> router = router("timeout", "1s", "on-outage", "open");
        router.route(job(1), null, workers("dc1", "dc2"));
        fake.hang();
        long begun = System.nanoTime();
        for (long job = 2; job < 102; job++) {
            router.route(job(job), null, workers("dc1", "dc2"));
        }
        long tookMs = (System.nanoTime() - begun) / 1_000_000;
        assertTrue(tookMs >= 990 && tookMs < 5000, "100 dispatches took " + tookMs + " ms");
        assertEquals(100, counters.decisions(Origin.OPEN));
        fake.resume();
        eventually("the sidecar is used again", () -> addresses(router.route(job(1), null, workers("dc1", "dc2", "dc2"))).equals(addresses(1)));
    }

    @Test
    @DisplayName("An error or an invalid answer counts as no answer and throws nothing")
    void invalidAnswer() {
        Router<Job, Worker> router = router("on-outage", "open");
        fake.extraIndex = 9;
        assertEquals(addresses(1, 2), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        fake.extraIndex = -1;
        fake.failWith = Status.RESOURCE_EXHAUSTED;
        assertEquals(addresses(1, 2), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(2, counters.decisions(Origin.OPEN));
        fake.failWith = null;
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        eventually("the outage ends", () -> !router.isSidecarAway());
        assertEquals(1, router.outages());
    }

    @Test
    @DisplayName("A stalled watch is detected and replaced, so a switch is delayed but not missed")
    void stalledWatch() {
        Router<Job, Worker> router = router();
        List<Worker> workers = workers("dc1", "dc2");
        router.route(job(1), null, workers);
        fake.stalled = true;
        fake.switchTo("dc2");
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers)));
        eventually("the switch is noticed", () -> addresses(router.route(job(1), null, workers)).equals(addresses(2)));
    }

    @Test
    @DisplayName("A channel that cannot be created is retried, and meanwhile nothing is thrown")
    void noChannel() {
        sidecar = new SidecarClient(() -> {
            throw new java.io.FileNotFoundException("/etc/ca.pem");
        }, 1);
        sidecar.start();
        Router<Job, Worker> router = new Router<>(Fixtures.settings(), Fixtures.TYPES, sidecar, memory, outage, counters);
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1"))));
        assertTrue(router.isSidecarAway());
    }

    private Router<Job, Worker> router(String... settings) {
        ClientSettings read = Fixtures.patientSettings(settings);
        ClientSettings target = Fixtures.settings("target", fake.target());
        sidecar = new SidecarClient(() -> ChannelFactory.open(target), read.timeout.toNanos());
        sidecar.addListener(memory);
        sidecar.addListener(outage);
        sidecar.start();
        eventually("the watch is up", () -> sidecar.epoch() != null);
        return new Router<>(read, Fixtures.TYPES, sidecar, memory, outage, counters);
    }

    private void kill() {
        fake.kill();
        eventually("the loss is noticed", () -> sidecar.epoch() == null);
    }

    private void switchTo(String datacenter) {
        RoutingEpoch previous = sidecar.epoch();
        fake.switchTo(datacenter);
        eventually("the switch arrives", () -> sidecar.epoch() != previous);
    }
}
