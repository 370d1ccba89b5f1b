package io.dcsidecar.powerjob.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dcsidecar.client.ClientSettings;
import java.time.Duration;
import java.util.Collections;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;

class SettingsTest {
    @Test
    @DisplayName("Without properties the defaults apply: a dispatch waits at most 200 ms")
    void defaults() {
        Settings settings = Fixtures.settings();
        assertEquals(Duration.ofMillis(200), settings.client.timeout);
        assertEquals(ClientSettings.OnOutage.LAST_KNOWN, settings.client.onOutage);
        assertEquals(Settings.ScoreBy.NAME, settings.scoreBy);
        assertEquals(Settings.OnNoWorker.FAIL, settings.onNoWorker);
        assertTrue(settings.problems.isEmpty());
    }

    @Test
    @DisplayName("Values are read as an operator writes them, in either case")
    void values() {
        Settings settings = Fixtures.settings("target", "sidecar:50051", "timeout", "1s", "on-outage", "Last-Known", "on-no-worker",
                "Hold", "hold-for", "30m", "tls.ca", "/etc/ca.pem", "score-by", "id", "state-dir", "/var/lib/x", "metrics", "0.0.0.0:9465");
        assertEquals("target=sidecar:50051 (TLS), timeout=1000ms, on-outage=last-known, last-answer-for=600s, state-dir=/var/lib/x, "
                + "metrics=0.0.0.0:9465, on-no-worker=hold, hold-for=1800s, score-by=id", settings.toString());
    }

    @Test
    @DisplayName("Environment variables are property names in upper case with underscores")
    void environmentVariables() {
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new SystemEnvironmentPropertySource("variables",
                Collections.singletonMap("DC_SIDECAR_ON_NO_WORKER", "hold")));
        assertEquals(Settings.OnNoWorker.HOLD, new Settings(environment).onNoWorker);
    }

    @Test
    @DisplayName("An invalid value is reported with the expected form, and its default applies")
    void invalidValues() {
        Settings settings = Fixtures.settings("timeout", "soon", "on-no-worker", "wait", "tls.enabled", "maybe", "hold-for", "-1s");
        assertEquals(Duration.ofMillis(200), settings.client.timeout);
        assertEquals(Settings.OnNoWorker.FAIL, settings.onNoWorker);
        assertEquals(4, settings.problems.size());
        assertEquals("dc-sidecar.timeout: found 'soon', expected a duration above zero such as 200ms, 10s or 5m; using PT0.2S",
                settings.problems.get(0));
        assertEquals("dc-sidecar.on-no-worker: found 'wait', expected one of fail, hold; using fail", settings.problems.get(2));
    }
}
