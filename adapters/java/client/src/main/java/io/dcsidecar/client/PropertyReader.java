package io.dcsidecar.client;

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
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Reads settings: properties under {@code dc-sidecar.}, named without that prefix here.
 *
 * <p>Never throws, since an adapter must not keep a scheduler from starting: an invalid value is listed in {@link #problems} and
 * replaced by its default.
 */
public final class PropertyReader {
    /** What the names of all settings begin with. */
    public static final String PREFIX = "dc-sidecar.";
    private static final Pattern TARGET = Pattern.compile("unix:/.+|(\\[[0-9a-fA-F:.%]+]|[A-Za-z0-9._-]+):[0-9]{1,5}");
    private static final Pattern DURATION = Pattern.compile("([0-9]{1,15})(ns|us|ms|s|m|h|d)?");

    private final UnaryOperator<String> properties;
    private final List<String> problems = new ArrayList<>();

    /** {@code properties} returns the value of a property by its full name, or null. */
    public PropertyReader(UnaryOperator<String> properties) {
        this.properties = properties;
    }

    /** Returns one message for each invalid value so far. */
    public List<String> problems() {
        return Collections.unmodifiableList(new ArrayList<>(problems));
    }

    public String text(String key, String fallback) {
        return value(key, fallback, "text", Function.identity());
    }

    public boolean bool(String key, boolean fallback) {
        return value(key, fallback, "true or false", text -> {
            if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) {
                return Boolean.valueOf(text);
            }
            throw new IllegalArgumentException(text);
        });
    }

    /** Returns a duration above zero: a number with a unit, of milliseconds without one, or ISO 8601. */
    public Duration duration(String key, Duration fallback) {
        return value(key, fallback, "a duration above zero such as 200ms, 10s or 5m", text -> {
            Duration duration = parseDuration(text.toLowerCase(Locale.ROOT));
            if (duration.toNanos() <= 0) {
                throw new IllegalArgumentException(text);
            }
            return duration;
        });
    }

    /** Returns a constant of an enum, written in lower case with hyphens. */
    public <E extends Enum<E>> E choice(String key, Class<E> type, E fallback) {
        return value(key, fallback, "one of " + Arrays.stream(type.getEnumConstants()).map(PropertyReader::lower)
                .collect(Collectors.joining(", ")), text -> Enum.valueOf(type, text.toUpperCase(Locale.ROOT).replace('-', '_')));
    }

    /** Returns a constant of an enum as an operator writes it. */
    public static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
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

    private <T> T value(String key, T fallback, String expected, Function<String, T> parse) {
        String name = PREFIX + key;
        String text = null;
        try {
            text = properties.apply(name);
            return text == null || text.trim().isEmpty() ? fallback : parse.apply(text.trim());
        } catch (RuntimeException invalid) {
            problems.add(name + ": found '" + text + "', expected " + expected + "; using "
                    + (fallback instanceof Enum ? lower((Enum<?>) fallback) : fallback));
            return fallback;
        }
    }

    private static Duration parseDuration(String text) {
        if (text.startsWith("p")) {
            return Duration.parse(text);
        }
        Matcher matcher = DURATION.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException(text);
        }
        long amount = Long.parseLong(matcher.group(1));
        switch (matcher.group(2) == null ? "ms" : matcher.group(2)) {
            case "ns":
                return Duration.ofNanos(amount);
            case "us":
                return Duration.ofNanos(Math.multiplyExact(amount, 1000L));
            case "ms":
                return Duration.ofMillis(amount);
            case "s":
                return Duration.ofSeconds(amount);
            case "m":
                return Duration.ofMinutes(amount);
            case "h":
                return Duration.ofHours(amount);
            default:
                return Duration.ofDays(amount);
        }
    }
}
