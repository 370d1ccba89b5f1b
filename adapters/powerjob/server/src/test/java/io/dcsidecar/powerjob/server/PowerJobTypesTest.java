package io.dcsidecar.powerjob.server;

import static io.dcsidecar.client.Fixtures.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.dcsidecar.client.FakeSidecar;
import io.dcsidecar.client.RoutingClient;
import io.dcsidecar.v1.FilterWorkersRequest;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tech.powerjob.server.common.module.WorkerInfo;
import tech.powerjob.server.persistence.remote.model.JobInfoDO;

class PowerJobTypesTest {
    @Test
    @DisplayName("A request carries the application's name and id, the job, and each worker's address, tag and metrics")
    void request() {
        FilterWorkersRequest request = ask("name", "billing");
        assertEquals("billing", request.getApp());
        assertEquals(Arrays.asList("7"), request.getAppAliasesList());
        assertEquals("42", request.getJob());
        assertEquals("10.0.0.1:27777", request.getCandidates(0).getAddress());
        assertEquals("dc1", request.getCandidates(0).getMetrics());
        assertEquals("{\"datacenter\":\"dc2\"}", request.getCandidates(1).getMetrics());
        assertEquals("dc1,gpu", request.getCandidates(2).getTag());
    }

    @Test
    @DisplayName("score-by=id sends the application's number first, as adapters up to 0.1 did")
    void scoreById() {
        FilterWorkersRequest request = ask("id", "billing");
        assertEquals("7", request.getApp());
        assertEquals(Arrays.asList("billing"), request.getAppAliasesList());
    }

    @Test
    @DisplayName("An application whose name is unknown, or is its number, is asked for by its number alone")
    void numberAlone() {
        for (String name : new String[] {null, "7"}) {
            FilterWorkersRequest request = ask("name", name);
            assertEquals("7", request.getApp());
            assertEquals(0, request.getAppAliasesCount());
        }
    }

    @Test
    @DisplayName("Answers are kept by application and job")
    void keys() {
        PowerJobTypes types = new PowerJobTypes(Settings.ScoreBy.NAME, app -> "billing");
        JobInfoDO other = Fixtures.job(1);
        other.setAppId(8L);
        assertEquals(types.key(Fixtures.job(1)), types.key(Fixtures.job(1)));
        assertNotEquals(types.key(Fixtures.job(1)), types.key(Fixtures.job(2)));
        assertNotEquals(types.key(Fixtures.job(1)), types.key(other));
        assertNull(types.metrics(new WorkerInfo()));
    }

    private static FilterWorkersRequest ask(String scoreBy, String appName) {
        List<WorkerInfo> workers = Fixtures.workers("dc1", "{\"datacenter\":\"dc2\",\"load\":1}", null);
        workers.get(2).setTag("dc1,gpu");
        try (FakeSidecar fake = new FakeSidecar()) {
            Settings settings = Fixtures.settings("target", fake.target(), "state-dir", "off", "score-by",
                    scoreBy);
            try (RoutingClient<JobInfoDO, WorkerInfo> client = new RoutingClient<>(settings.client,
                    new PowerJobTypes(settings.scoreBy, app -> appName))) {
                client.start();
                eventually("the watch is up", () -> client.epoch() != null);
                client.select(Fixtures.job(42), "99", workers);
            }
            return fake.requests.get(0);
        }
    }
}
