package io.dcsidecar.powerjob.server;

import static io.dcsidecar.powerjob.server.Given.addresses;
import static io.dcsidecar.powerjob.server.Given.eventually;
import static io.dcsidecar.powerjob.server.Given.job;
import static io.dcsidecar.powerjob.server.Given.workers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dcsidecar.powerjob.server.Counters.Origin;
import io.dcsidecar.v1.FilterWorkersRequest;
import io.grpc.Status;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tech.powerjob.server.common.module.WorkerInfo;

class RouterTest {
    private final FakeSidecar fake = new FakeSidecar();
    private final Counters counters = new Counters();
    private Sidecar sidecar;

    @AfterEach
    void close() {
        sidecar.close();
        fake.close();
    }

    @Test
    @DisplayName("The question carries the application by number and by name, the job, the instance, and each worker's address, tag and metrics")
    void question() {
        Router router = router();
        List<WorkerInfo> workers = workers("dc1", "{\"datacenter\":\"dc2\",\"load\":1}", null);
        workers.get(2).setTag("dc1,gpu");
        router.route(job(42), 99L, workers);
        FilterWorkersRequest asked = fake.asked.get(0);
        assertEquals("7", asked.getApp());
        assertEquals("billing", asked.getAppAliases(0));
        assertEquals("42", asked.getJob());
        assertEquals("99", asked.getInstance());
        assertTrue(asked.getIndicesOnly());
        assertEquals("10.0.0.1:27777", asked.getCandidates(0).getAddress());
        assertEquals("dc1", asked.getCandidates(0).getMetrics());
        assertEquals("{\"datacenter\":\"dc2\"}", asked.getCandidates(1).getMetrics());
        assertEquals("dc1,gpu", asked.getCandidates(2).getTag());
    }

    @Test
    @DisplayName("In the steady state no dispatch makes a call; a switch makes one, and no more")
    void memory() {
        Router router = router();
        List<WorkerInfo> workers = workers("dc1", "dc2", "dc1");
        for (int dispatch = 0; dispatch < 5; dispatch++) {
            assertEquals(addresses(1, 3), addresses(router.route(job(1), null, workers)));
        }
        assertEquals(1, fake.asked.size());
        assertEquals(4, counters.decisions(Origin.MEMORY));
        switchTo("dc2");
        for (int dispatch = 0; dispatch < 5; dispatch++) {
            assertEquals(addresses(2), addresses(router.route(job(1), null, workers)));
        }
        assertEquals(2, fake.asked.size());
    }

    @Test
    @DisplayName("A worker that comes, goes, or moves makes another question; new load figures do not")
    void candidatesChange() {
        Router router = router();
        router.route(job(1), null, workers("dc1", "{\"datacenter\":\"dc1\",\"load\":1}"));
        router.route(job(1), null, workers("dc1", "{\"datacenter\":\"dc1\",\"load\":2}"));
        assertEquals(1, fake.asked.size());
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1"))));
        assertEquals(addresses(1, 2), addresses(router.route(job(1), null, workers("dc1", "dc1"))));
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(4, fake.asked.size());
    }

    @Test
    @DisplayName("All instances of a job share an answer, unless the sidecar says that it is for one only")
    void forInstance() {
        Router router = router();
        router.route(job(1), 11L, workers("dc1"));
        router.route(job(1), 12L, workers("dc1"));
        assertEquals(1, fake.asked.size());
        fake.forInstance = true;
        router.route(job(2), 21L, workers("dc1"));
        router.route(job(2), 22L, workers("dc1"));
        assertEquals("21", fake.asked.get(1).getInstance());
        assertEquals("22", fake.asked.get(2).getInstance());
        kill();
        assertEquals(addresses(1), addresses(router.route(job(2), 23L, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.LAST_ANSWER));
    }

    @Test
    @DisplayName("Sidecar killed: the last answer of the same job holds for whoever is left of its workers, new ones stay out")
    void lastAnswer() {
        Router router = router();
        router.route(job(1), null, workers("dc1", "dc2", "dc1"));
        kill();
        assertEquals(addresses(1, 3), addresses(router.route(job(1), null, workers("dc1", "dc2", "dc1", "dc2"))));
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(2, counters.decisions(Origin.LAST_ANSWER));
        assertTrue(router.away());
    }

    @Test
    @DisplayName("Sidecar killed: a job never asked about goes to every worker, or to none where the operator says so")
    void openAndClosed() {
        Router open = router();
        kill();
        assertEquals(addresses(1, 2), addresses(open.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.OPEN));
        Router closed = new Router(Given.settings("when-away", "closed"), sidecar, app -> "billing", counters);
        assertEquals(addresses(), addresses(closed.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.CLOSED));
        assertEquals(1, counters.withoutWorkersCount());
    }

    @Test
    @DisplayName("An answer that nobody confirmed for longer than the bound is no answer")
    void tooOld() {
        Router router = router("last-answer-for", "1ms");
        router.route(job(1), null, workers("dc1", "dc2"));
        kill();
        eventually("the answer is too old",
                () -> addresses(router.route(job(1), null, workers("dc1", "dc2"))).equals(addresses(1, 2)));
        assertTrue(counters.decisions(Origin.OPEN) > 0);
    }

    @Test
    @DisplayName("The bound counts from when the sidecar was lost, not from when the question was asked")
    void ageCountsFromTheLoss() throws InterruptedException {
        Router router = router("last-answer-for", "2s");
        router.route(job(1), null, workers("dc1", "dc2"));
        Thread.sleep(2100);
        kill();
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(1, counters.decisions(Origin.LAST_ANSWER));
    }

    @Test
    @DisplayName("A sidecar that comes back with another route is believed, though its generations begin at the same number")
    void restart() {
        Router router = router();
        List<WorkerInfo> workers = workers("dc1", "dc2");
        router.route(job(1), null, workers);
        View old = sidecar.view();
        fake.kill();
        fake.switchTo("dc2");
        fake.restart();
        eventually("watching again", () -> sidecar.view() != null && sidecar.view() != old);
        assertEquals(addresses(2), addresses(router.route(job(1), null, workers)));
        assertFalse(router.away());
    }

    @Test
    @DisplayName("A sidecar that hangs costs one dispatch the timeout, the next ones nothing, and is asked again when it wakes")
    void hang() {
        Router router = router();
        router.route(job(1), null, workers("dc1", "dc2"));
        fake.hang();
        long begun = System.nanoTime();
        for (long job = 2; job < 102; job++) {
            router.route(job(job), null, workers("dc1", "dc2"));
        }
        long tookMs = (System.nanoTime() - begun) / 1_000_000;
        assertTrue(tookMs >= 190 && tookMs < 1500, "100 dispatches took " + tookMs + " ms");
        assertEquals(100, counters.decisions(Origin.OPEN));
        fake.resume();
        eventually("answers again", () -> addresses(router.route(job(1), null, workers("dc1", "dc2", "dc2"))).equals(addresses(1)));
    }

    @Test
    @DisplayName("A refusal or a choice that makes no sense is no answer, and nothing is thrown")
    void nonsense() {
        Router router = router();
        fake.chooseAlso = 9;
        assertEquals(addresses(1, 2), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        fake.chooseAlso = -1;
        fake.refuseWith = Status.RESOURCE_EXHAUSTED;
        assertEquals(addresses(1, 2), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertEquals(2, counters.decisions(Origin.OPEN));
        fake.refuseWith = null;
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1", "dc2"))));
        assertFalse(router.away());
    }

    @Test
    @DisplayName("A watch that has become deaf is found out and replaced, so that a switch is not missed for good")
    void deafWatch() {
        Router router = router();
        List<WorkerInfo> workers = workers("dc1", "dc2");
        router.route(job(1), null, workers);
        fake.deaf = true;
        fake.switchTo("dc2");
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers)));
        eventually("the switch is noticed", () -> addresses(router.route(job(1), null, workers)).equals(addresses(2)));
    }

    @Test
    @DisplayName("A channel that cannot be made is tried again, and meanwhile nothing is thrown")
    void noChannel() {
        sidecar = new Sidecar(() -> {
            throw new java.io.FileNotFoundException("/etc/ca.pem");
        }, 1);
        sidecar.start();
        Router router = new Router(Given.settings(), sidecar, app -> null, counters);
        assertEquals(addresses(1), addresses(router.route(job(1), null, workers("dc1"))));
        assertTrue(router.away());
    }

    private Router router(String... settings) {
        Settings read = Given.settings(settings);
        Settings target = Given.settings("target", fake.target());
        sidecar = new Sidecar(() -> Channels.open(target), read.timeout.toNanos());
        sidecar.start();
        eventually("watching", () -> sidecar.view() != null);
        return new Router(read, sidecar, app -> "billing", counters);
    }

    private void kill() {
        fake.kill();
        eventually("the loss is noticed", () -> sidecar.view() == null);
    }

    private void switchTo(String datacenter) {
        View old = sidecar.view();
        fake.switchTo(datacenter);
        eventually("the switch arrives", () -> sidecar.view() != old);
    }
}
