package io.dcsidecar.powerjob.server;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.core.env.Environment;

/**
 * What the operator may set, by properties that begin with {@code dc-sidecar.}, as environment variables {@code DC_SIDECAR_…}.
 *
 * <p>Reading never fails, because the scheduler's boot must not: a value that does not fit is told in {@link #problems}
 * and its default holds.
 */
final class Settings {
    static final String PREFIX = "dc-sidecar.";

    /** What to do with a job for which neither the sidecar nor memory has an answer. */
    enum WhenAway {
        /** Every worker may run it, as without the adapter. */
        OPEN,
        /** No worker may. */
        CLOSED
    }

    /** What to do with a job that no worker may run. */
    enum OnNoWorker {
        /** PowerJob fails the instance at once. */
        FAIL,
        /** The instance waits, and PowerJob looks at it again every ten seconds. */
        HOLD
    }

    /** Where the sidecar listens: {@code unix:/path} or {@code host:port}. */
    final String target;
    /** The longest that a dispatch waits for the sidecar. */
    final Duration timeout;
    final WhenAway whenAway;
    /** How long the last answer for a job may stand in for the sidecar after the sidecar last confirmed it. */
    final Duration lastAnswerFor;
    final OnNoWorker onNoWorker;
    /** How long after its trigger time an instance may be held. */
    final Duration holdFor;
    final Tls tls;
    /** What was found wrong, each a sentence; empty where nothing was. */
    final List<String> problems;

    Settings(Environment environment) {
        Reader read = new Reader(environment);
        target = read.text("target", "127.0.0.1:50051");
        timeout = read.duration("timeout", Duration.ofMillis(200));
        whenAway = read.choice("when-away", WhenAway.class, WhenAway.OPEN);
        lastAnswerFor = read.duration("last-answer-for", Duration.ofMinutes(10));
        onNoWorker = read.choice("on-no-worker", OnNoWorker.class, OnNoWorker.FAIL);
        holdFor = read.duration("hold-for", Duration.ofHours(1));
        tls = new Tls(read.bool("tls.enabled", false), read.text("tls.ca", ""), read.text("tls.certificate", ""),
                read.text("tls.key", ""), read.text("tls.server-name", ""));
        problems = Collections.unmodifiableList(read.problems);
    }

    @Override
    public String toString() {
        return "target=" + target + (tls.wanted() ? " (TLS)" : "") + ", timeout=" + timeout.toMillis() + "ms, when-away="
                + lower(whenAway) + ", last-answer-for=" + lastAnswerFor.getSeconds() + "s, on-no-worker=" + lower(onNoWorker)
                + (onNoWorker == OnNoWorker.HOLD ? ", hold-for=" + holdFor.getSeconds() + "s" : "");
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    /** How to speak TLS; paths of PEM files, empty where there is none. */
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

        boolean wanted() {
            return enabled || !ca.isEmpty() || !certificate.isEmpty();
        }
    }

    private static final class Reader {
        private final Environment environment;
        private final List<String> problems = new ArrayList<>();

        Reader(Environment environment) {
            this.environment = environment;
        }

        String text(String key, String otherwise) {
            return value(key, otherwise, "text", Function.identity());
        }

        boolean bool(String key, boolean otherwise) {
            return value(key, otherwise, "true or false", text -> {
                if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) {
                    return Boolean.valueOf(text);
                }
                throw new IllegalArgumentException(text);
            });
        }

        Duration duration(String key, Duration otherwise) {
            return value(key, otherwise, "a duration above zero, such as 200ms, 10s or 5m", text -> {
                Duration duration = DurationStyle.detectAndParse(text);
                if (duration.isNegative() || duration.isZero()) {
                    throw new IllegalArgumentException(text);
                }
                return duration;
            });
        }

        <E extends Enum<E>> E choice(String key, Class<E> type, E otherwise) {
            return value(key, otherwise, "one of " + Arrays.toString(type.getEnumConstants()).toLowerCase(Locale.ROOT),
                    text -> Enum.valueOf(type, text.toUpperCase(Locale.ROOT)));
        }

        private <T> T value(String key, T otherwise, String expected, Function<String, T> parse) {
            String name = PREFIX + key;
            String text = null;
            try {
                text = environment.getProperty(name);
                return text == null || text.trim().isEmpty() ? otherwise : parse.apply(text.trim());
            } catch (RuntimeException unfit) {
                problems.add(name + " is '" + text + "', expected " + expected + "; taking " + otherwise);
                return otherwise;
            }
        }
    }
}
