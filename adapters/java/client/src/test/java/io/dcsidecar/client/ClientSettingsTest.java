package io.dcsidecar.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ClientSettingsTest {
    @Test
    @DisplayName("Without properties the defaults apply: a selection waits at most 200 ms")
    void defaults() {
        ClientSettings settings = Fixtures.settings();
        assertEquals(Duration.ofMillis(200), settings.timeout);
        assertEquals(ClientSettings.OnOutage.LAST_KNOWN, settings.onOutage);
        assertTrue(Fixtures.reader().problems().isEmpty());
    }

    @Test
    @DisplayName("Values are read as an operator writes them, in either case")
    void values() {
        assertEquals("target=sidecar:50051 (TLS), timeout=1000ms, on-outage=last-known, last-answer-for=600s, state-dir=/var/lib/x, "
                + "metrics=0.0.0.0:9465", Fixtures.settings("target", "sidecar:50051", "timeout", "1s", "on-outage", "Last-Known",
                "tls.ca", "/etc/ca.pem", "state-dir", "/var/lib/x", "metrics", "0.0.0.0:9465").toString());
    }

    @Test
    @DisplayName("Durations have a unit, are milliseconds without one, or are ISO 8601")
    void durations() {
        String[][] written = {{"250", "250"}, {"1500us", "1.5"}, {"2S", "2000"}, {"3m", "180000"}, {"1h", "3600000"}, {"1d", "86400000"},
            {"PT0.5S", "500"}};
        for (String[] each : written) {
            assertEquals(Double.parseDouble(each[1]), Fixtures.settings("timeout", each[0]).timeout.toNanos() / 1e6, each[0]);
        }
        for (String wrong : new String[] {"soon", "-1s", "0", "1 s", "5w", "1.5s", "99999999999999d"}) {
            PropertyReader read = Fixtures.reader("timeout", wrong);
            assertEquals(Duration.ofMillis(200), new ClientSettings(read, "x").timeout, wrong);
            assertEquals("dc-sidecar.timeout: found '" + wrong
                    + "', expected a duration above zero such as 200ms, 10s or 5m; using PT0.2S", read.problems().get(0));
        }
    }

    @Test
    @DisplayName("when-away, the name up to 0.1, is still read where on-outage is not set")
    void formerName() {
        assertEquals(ClientSettings.OnOutage.CLOSED, Fixtures.settings("when-away", "closed").onOutage);
        assertEquals(ClientSettings.OnOutage.OPEN, Fixtures.settings("when-away", "closed", "on-outage", "open").onOutage);
    }

    @Test
    @DisplayName("state-dir=off keeps nothing on disk")
    void noStateDir() {
        assertNull(Fixtures.settings("state-dir", "off").stateDir);
    }

    @Test
    @DisplayName("System properties take precedence over environment variables")
    void ofThisProcess() {
        System.setProperty("dc-sidecar.target", "unix:/run/of-a-test.sock");
        try {
            assertEquals("unix:/run/of-a-test.sock", ClientSettings.ofThisProcess().target);
        } finally {
            System.clearProperty("dc-sidecar.target");
        }
        assertEquals(System.getenv("PATH"), ProcessProperties.get("path"));
        assertNull(ProcessProperties.get("dc-sidecar.not-set-anywhere"));
    }

    @Test
    @DisplayName("A malformed target is reported, and not replaced by the address of another sidecar")
    void malformedTarget() {
        for (String good : new String[] {"unix:/run/s.sock", "unix:///run/s.sock", "sidecar:50051", "10.0.0.1:1", "[::1]:50051"}) {
            PropertyReader read = Fixtures.reader("target", good);
            assertEquals(good, new ClientSettings(read, "x").target);
            assertTrue(read.problems().isEmpty(), good);
        }
        for (String wrong : new String[] {":::", "sidecar", "http://sidecar:50051", "unix:run", "sidecar:port"}) {
            PropertyReader read = Fixtures.reader("target", wrong);
            assertEquals(wrong, new ClientSettings(read, "x").target);
            assertEquals("dc-sidecar.target: found '" + wrong + "', expected unix:/path or host:port; the sidecar cannot be reached",
                    read.problems().get(0));
        }
    }
}
