package io.dcsidecar.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class WorkerMetricsTest {
    @Test
    @DisplayName("Plain text is sent unchanged, and no text as an empty string")
    void bareText() {
        assertEquals("dc1", WorkerMetrics.forRouting("dc1"));
        assertEquals("", WorkerMetrics.forRouting(null));
    }

    @Test
    @DisplayName("Of a JSON object only the datacenter is sent, correctly quoted")
    void objects() {
        assertEquals("{\"datacenter\":\"dc1\"}",
                WorkerMetrics.forRouting(" {\"gpu\": {\"load\": [0.3, {}]}, \"datacenter\": \"dc1\", \"at\": 17}"));
        assertEquals("{\"datacenter\":\"a\\\"b\"}", WorkerMetrics.forRouting("{\"datacenter\":\"a\\\"b\"}"));
        assertEquals("", WorkerMetrics.forRouting("{\"datacenter\": 1}"));
        assertEquals("", WorkerMetrics.forRouting("{\"nested\": {\"datacenter\": \"dc1\"}}"));
        assertEquals("", WorkerMetrics.forRouting("{\"datacenter\": \"dc1\""));
    }

    @Test
    @DisplayName("Load figures that change with every heartbeat do not invalidate an answer")
    void sameDatacenter() {
        assertTrue(WorkerMetrics.sameDatacenter("{\"datacenter\":\"dc1\",\"load\":1}", "{\"load\":2,\"datacenter\":\"dc1\"}"));
        assertTrue(WorkerMetrics.sameDatacenter(null, null));
        assertFalse(WorkerMetrics.sameDatacenter("{\"datacenter\":\"dc1\"}", "{\"datacenter\":\"dc2\"}"));
        assertFalse(WorkerMetrics.sameDatacenter("dc1", "dc2"));
        assertFalse(WorkerMetrics.sameDatacenter("dc1", null));
    }
}
