package io.dcsidecar.powerjob.server;

import io.dcsidecar.client.ClientSettings;
import io.dcsidecar.client.PropertyReader;
import java.time.Duration;
import java.util.List;
import org.springframework.core.env.Environment;

/**
 * The adapter's settings: properties under {@code dc-sidecar.}, or environment variables {@code DC_SIDECAR_…}.
 *
 * <p>Never throws, since the adapter must not keep the scheduler from starting: an invalid value is listed in {@link #problems}
 * and replaced by its default.
 */
final class Settings {
    /** The name of the application over which the shares of a split are taken. */
    enum ScoreBy {
        /** PowerJob's appName. */
        NAME,
        /** PowerJob's appId in decimal, as adapters up to 0.1 did. */
        ID
    }

    /** What to do with a job that no worker may run. */
    enum OnNoWorker {
        /** PowerJob fails the instance at once. */
        FAIL,
        /** The instance waits; PowerJob retries it every ten seconds. */
        HOLD
    }

    final ClientSettings client;
    final ScoreBy scoreBy;
    final OnNoWorker onNoWorker;
    /** How long after its trigger time an instance may be held. */
    final Duration holdFor;
    /** One message for each invalid value. */
    final List<String> problems;

    Settings(Environment environment) {
        PropertyReader read = new PropertyReader(environment::getProperty);
        client = new ClientSettings(read, "powerjob/dc-sidecar");
        scoreBy = read.choice("score-by", ScoreBy.class, ScoreBy.NAME);
        onNoWorker = read.choice("on-no-worker", OnNoWorker.class, OnNoWorker.FAIL);
        holdFor = read.duration("hold-for", Duration.ofHours(1));
        problems = read.problems();
    }

    @Override
    public String toString() {
        return client + ", on-no-worker=" + PropertyReader.lower(onNoWorker)
                + (onNoWorker == OnNoWorker.HOLD ? ", hold-for=" + holdFor.getSeconds() + "s" : "") + ", score-by="
                + PropertyReader.lower(scoreBy);
    }
}
