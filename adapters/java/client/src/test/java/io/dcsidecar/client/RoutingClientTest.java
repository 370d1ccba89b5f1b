package io.dcsidecar.client;

import static io.dcsidecar.client.Fixtures.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dcsidecar.v1.FilterWorkersRequest;
import java.lang.management.ManagementFactory;
import java.net.URL;
import java.util.Arrays;
import java.util.List;
import java.util.Scanner;
import javax.management.ObjectName;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The client as a scheduler of one's own uses it. */
class RoutingClientTest {
    private static final List<Worker> WORKERS = Arrays.asList(Worker.at("10.1.0.7:1").in("dc1"), Worker.at("10.2.0.9:1").in("dc2"),
            Worker.at("10.3.0.4:1").tagged("gpu,dc2"));
    private final FakeSidecar fake = new FakeSidecar();
    private RoutingClient<Job, Worker> client;

    @AfterEach
    void close() {
        client.close();
        fake.close();
    }

    @Test
    @DisplayName("Plain jobs and workers are sent with their application, datacenters and tags; the first call may be waited for")
    void plainTypes() throws InterruptedException {
        client = open();
        assertTrue(client.awaitFirstContact(15_000));
        assertEquals(WORKERS.subList(0, 1), client.select(new Job("billing", "1001"), "r1", WORKERS));
        FilterWorkersRequest request = fake.requests.get(0);
        assertEquals("billing", request.getApp());
        assertEquals("1001", request.getJob());
        assertEquals("r1", request.getInstance());
        assertEquals("dc2", request.getCandidates(1).getMetrics());
        assertEquals("gpu,dc2", request.getCandidates(2).getTag());
        assertEquals("10.3.0.4:1", WORKERS.get(2).toString());
    }

    @Test
    @DisplayName("Without a sidecar the wait for it ends as soon as that is known, and every worker may run the job")
    void noSidecar() throws InterruptedException {
        fake.kill();
        client = open();
        assertFalse(client.awaitFirstContact(15_000));
        assertEquals(WORKERS, client.select(new Job("billing", "1001"), WORKERS));
        assertEquals(1, client.metrics().getDecisionsOpen());
    }

    @Test
    @DisplayName("A first check that gets no answer in time does not end the wait: the next one may")
    void slowFirstAnswer() throws InterruptedException {
        fake.hang();
        client = open();
        Thread resume = new Thread(() -> {
            try {
                Thread.sleep(1500);
            } catch (InterruptedException stopping) {
                Thread.currentThread().interrupt();
            }
            fake.resume();
        });
        resume.start();
        assertTrue(client.awaitFirstContact(15_000));
        resume.join();
    }

    @Test
    @DisplayName("JMX and Prometheus show the same figures, and are gone once the client is closed")
    void metrics() throws Exception {
        client = open("metrics", "127.0.0.1:0");
        eventually("the watch is up", () -> client.epoch() != null);
        client.select(new Job("billing", "1"), WORKERS);
        client.select(new Job("billing", "1"), WORKERS);
        client.countHeld();
        ObjectName name = new ObjectName("io.dcsidecar:type=Routing");
        assertEquals(1L, ManagementFactory.getPlatformMBeanServer().getAttribute(name, "DecisionsFromMemory"));
        try (Scanner scraped = new Scanner(new URL("http://127.0.0.1:" + client.metricsPort() + "/metrics").openStream(), "UTF-8")
                .useDelimiter("\\A")) {
            String text = scraped.next();
            assertTrue(text.contains("\ndc_sidecar_decisions_total{origin=\"memory\"} 1\n"), text);
            assertTrue(text.contains("\ndc_sidecar_held_total 1\n"), text);
        }
        client.close();
        assertFalse(ManagementFactory.getPlatformMBeanServer().isRegistered(name));
    }

    private RoutingClient<Job, Worker> open(String... settings) {
        String[] all = Arrays.copyOf(settings, settings.length + 4);
        all[settings.length] = "target";
        all[settings.length + 1] = fake.target();
        all[settings.length + 2] = "state-dir";
        all[settings.length + 3] = "off";
        return RoutingClient.open(Fixtures.patientSettings(all));
    }
}
