package io.dcsidecar.powerjob.server;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.core.env.Environment;

/**
 * The adapter's settings: properties under {@code dc-sidecar.}, or environment variables {@code DC_SIDECAR_…}.
 *
 * <p>Never throws, since the adapter must not keep the scheduler from starting: an invalid value is listed in {@link #problems}
 * and replaced by its default.
 */
final class Settings {
    static final String PREFIX = "dc-sidecar.";
    private static final Pattern TARGET = Pattern.compile("unix:/.+|(\\[[0-9a-fA-F:.%]+]|[A-Za-z0-9._-]+):[0-9]{1,5}");

    /** How to decide a job for which there is no answer, neither from the sidecar nor from the cache. */
    enum OnOutage {
        /** Every worker is allowed, as without the adapter. */
        OPEN,
        /** No worker is allowed. */
        CLOSED,
        /** The workers are allowed that the last known routes and outages allow; if none are known, every worker. */
        LAST_KNOWN
    }

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

    /** Where the sidecar listens: {@code unix:/path} or {@code host:port}. */
    final String target;
    /** The deadline of a call to the sidecar. */
    final Duration timeout;
    final OnOutage onOutage;
    final ScoreBy scoreBy;
    /** Where the last known routes are kept over a restart; null if they are not. */
    final Path stateDir;
    /** Where Prometheus scrapes the adapter, {@code host:port}; empty for nowhere. */
    final String metrics;
    /** How long the last answer for a job is used after the sidecar last confirmed it. */
    final Duration lastAnswerFor;
    final OnNoWorker onNoWorker;
    /** How long after its trigger time an instance may be held. */
    final Duration holdFor;
    final Tls tls;
    /** One message for each invalid value. */
    final List<String> problems;

    Settings(Environment environment) {
        PropertyReader read = new PropertyReader(environment);
        target = read.target("target", "127.0.0.1:50051");
        timeout = read.duration("timeout", Duration.ofMillis(200));
        // The name that adapters up to 0.1 used; it had no last-known.
        onOutage = read.choice("on-outage", OnOutage.class, read.choice("when-away", OnOutage.class, OnOutage.LAST_KNOWN));
        scoreBy = read.choice("score-by", ScoreBy.class, ScoreBy.NAME);
        stateDir = read.folder("state-dir", "powerjob/dc-sidecar");
        metrics = read.text("metrics", "");
        lastAnswerFor = read.duration("last-answer-for", Duration.ofMinutes(10));
        onNoWorker = read.choice("on-no-worker", OnNoWorker.class, OnNoWorker.FAIL);
        holdFor = read.duration("hold-for", Duration.ofHours(1));
        tls = new Tls(read.bool("tls.enabled", false), read.text("tls.ca", ""), read.text("tls.certificate", ""),
                read.text("tls.key", ""), read.text("tls.server-name", ""));
        problems = Collections.unmodifiableList(read.problems);
    }

    @Override
    public String toString() {
        return "target=" + target + (tls.isEnabled() ? " (TLS)" : "") + ", timeout=" + timeout.toMillis() + "ms, on-outage="
                + lower(onOutage) + ", last-answer-for=" + lastAnswerFor.getSeconds() + "s, on-no-worker=" + lower(onNoWorker)
                + (onNoWorker == OnNoWorker.HOLD ? ", hold-for=" + holdFor.getSeconds() + "s" : "")
                + ", score-by=" + lower(scoreBy) + ", state-dir=" + (stateDir == null ? "off" : stateDir)
                + (metrics.isEmpty() ? "" : ", metrics=" + metrics);
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** TLS settings; paths of PEM files, empty if not set. */
    static final class Tls {
        final boolean enabled;
        final String ca;
        final String certificate;
        final String key;
        final String serverName;

        Tls(boolean enabled, String ca, String certificate, String key, String serverName) {
            this.enabled = enabled;
            this.ca = ca;
            this.certificate = certificate;
            this.key = key;
            this.serverName = serverName;
        }

        boolean isEnabled() {
            return enabled || !ca.isEmpty() || !certificate.isEmpty();
        }
    }

    private static final class PropertyReader {
        private final Environment environment;
        private final List<String> problems = new ArrayList<>();

        PropertyReader(Environment environment) {
            this.environment = environment;
        }

        String text(String key, String fallback) {
            return value(key, fallback, "text", Function.identity());
        }

        /** Reports a malformed target but keeps it: another address would be somebody else's. */
        String target(String key, String fallback) {
            String target = text(key, fallback);
            if (!TARGET.matcher(target).matches()) {
                problems.add(PREFIX + key + ": found '" + target + "', expected unix:/path or host:port; the sidecar cannot be reached");
            }
            return target;
        }

        /** Returns a directory, by default one in the user's home directory; null for {@code off} or where there is no home. */
        Path folder(String key, String fallback) {
            String home = System.getProperty("user.home", "?");
            String text = text(key, "?".equals(home) || home.isEmpty() ? "off" : home + "/" + fallback);
            try {
                return "off".equalsIgnoreCase(text) ? null : Paths.get(text);
            } catch (InvalidPathException malformed) {
                problems.add(PREFIX + key + ": found '" + text + "', expected a directory or off; using off");
                return null;
            }
        }

        boolean bool(String key, boolean fallback) {
            return value(key, fallback, "true or false", text -> {
                if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) {
                    return Boolean.valueOf(text);
                }
                throw new IllegalArgumentException(text);
            });
        }

        Duration duration(String key, Duration fallback) {
            return value(key, fallback, "a duration above zero such as 200ms, 10s or 5m", text -> {
                Duration duration = DurationStyle.detectAndParse(text);
                if (duration.isNegative() || duration.isZero()) {
                    throw new IllegalArgumentException(text);
                }
                return duration;
            });
        }

        <E extends Enum<E>> E choice(String key, Class<E> type, E fallback) {
            return value(key, fallback, "one of " + Arrays.stream(type.getEnumConstants()).map(Settings::lower)
                    .collect(Collectors.joining(", ")), text -> Enum.valueOf(type, text.toUpperCase(Locale.ROOT).replace('-', '_')));
        }

        private <T> T value(String key, T fallback, String expected, Function<String, T> parse) {
            String name = PREFIX + key;
            String text = null;
            try {
                text = environment.getProperty(name);
                return text == null || text.trim().isEmpty() ? fallback : parse.apply(text.trim());
            } catch (RuntimeException invalid) {
                problems.add(name + ": found '" + text + "', expected " + expected + "; using "
                        + (fallback instanceof Enum ? lower((Enum<?>) fallback) : fallback));
                return fallback;
            }
        }
    }
}
