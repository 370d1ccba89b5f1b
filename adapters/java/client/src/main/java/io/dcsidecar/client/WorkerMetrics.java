package io.dcsidecar.client;

import com.google.gson.JsonPrimitive;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.util.Objects;
import java.util.regex.Pattern;

/**
 * The metrics that a worker reports of itself: a datacenter name, or a JSON object with a {@code datacenter} member.
 *
 * <p>Applications put load figures into that object, which change with every heartbeat. Routing depends on the datacenter alone,
 * so only the datacenter is sent and compared.
 */
final class WorkerMetrics {
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");

    private WorkerMetrics() {}

    /** Returns what the sidecar needs of {@code metrics}: plain text unchanged, a JSON object reduced to its {@code datacenter}. */
    static String forRouting(String metrics) {
        if (metrics == null) {
            return "";
        }
        if (!isObject(metrics)) {
            return metrics;
        }
        String datacenter = datacenterOf(metrics);
        return datacenter == null ? "" : "{\"datacenter\":" + new JsonPrimitive(datacenter) + "}";
    }

    /** Returns the datacenter that {@code metrics} names, in plain text or in a JSON object, or an empty string. */
    static String datacenter(String metrics) {
        if (metrics == null) {
            return "";
        }
        if (isObject(metrics)) {
            String member = datacenterOf(metrics);
            return member == null ? "" : member;
        }
        String name = metrics.trim();
        return NAME.matcher(name).matches() ? name : "";
    }

    /** Returns whether two values of {@code metrics} are equal for routing. */
    static boolean sameDatacenter(String one, String other) {
        if (Objects.equals(one, other)) {
            return true;
        }
        return one != null && other != null && isObject(one) && isObject(other)
                && Objects.equals(datacenterOf(one), datacenterOf(other));
    }

    private static boolean isObject(String metrics) {
        for (int index = 0; index < metrics.length(); index++) {
            if (!Character.isWhitespace(metrics.charAt(index))) {
                return metrics.charAt(index) == '{';
            }
        }
        return false;
    }

    /** Returns the last {@code datacenter} member if it is a string; null if there is none or the text is not JSON. */
    private static String datacenterOf(String metrics) {
        String datacenter = null;
        try (JsonReader reader = new JsonReader(new StringReader(metrics))) {
            reader.beginObject();
            while (reader.hasNext()) {
                boolean wanted = "datacenter".equals(reader.nextName());
                if (wanted && reader.peek() == JsonToken.STRING) {
                    datacenter = reader.nextString();
                } else {
                    datacenter = wanted ? null : datacenter;
                    reader.skipValue();
                }
            }
            reader.endObject();
            return reader.peek() == JsonToken.END_DOCUMENT ? datacenter : null;
        } catch (IOException | IllegalStateException notJson) {
            return null;
        }
    }
}
