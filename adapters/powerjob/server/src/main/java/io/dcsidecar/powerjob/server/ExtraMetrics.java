package io.dcsidecar.powerjob.server;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.io.IOException;
import java.util.Objects;
import java.util.regex.Pattern;

/**
 * The {@code extra} field of a worker's metrics: a datacenter name, or a JSON object with a {@code datacenter} member.
 *
 * <p>Applications put load figures into that object, which change with every heartbeat. Routing depends on the datacenter alone,
 * so only the datacenter is sent and compared.
 */
final class ExtraMetrics {
    private static final JsonFactory JSON = new JsonFactory();
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");

    private ExtraMetrics() {}

    /** Returns what the sidecar needs of {@code extra}: plain text unchanged, a JSON object reduced to its {@code datacenter}. */
    static String forRouting(String extra) {
        if (extra == null) {
            return "";
        }
        if (!isObject(extra)) {
            return extra;
        }
        String datacenter = datacenterOf(extra);
        return datacenter == null ? "" : "{\"datacenter\":\"" + quote(datacenter) + "\"}";
    }

    /** Returns the datacenter that {@code extra} names, in plain text or in a JSON object, or an empty string. */
    static String datacenter(String extra) {
        if (extra == null) {
            return "";
        }
        if (isObject(extra)) {
            String member = datacenterOf(extra);
            return member == null ? "" : member;
        }
        String name = extra.trim();
        return NAME.matcher(name).matches() ? name : "";
    }

    /** Returns whether two values of {@code extra} are equal for routing. */
    static boolean sameDatacenter(String one, String other) {
        if (Objects.equals(one, other)) {
            return true;
        }
        return one != null && other != null && isObject(one) && isObject(other)
                && Objects.equals(datacenterOf(one), datacenterOf(other));
    }

    private static boolean isObject(String extra) {
        for (int index = 0; index < extra.length(); index++) {
            if (!Character.isWhitespace(extra.charAt(index))) {
                return extra.charAt(index) == '{';
            }
        }
        return false;
    }

    /** Returns the last {@code datacenter} member if it is a string; null if there is none or the text is not JSON. */
    private static String datacenterOf(String extra) {
        String datacenter = null;
        try (JsonParser parser = JSON.createParser(extra)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                boolean wanted = "datacenter".equals(parser.getCurrentName());
                JsonToken value = parser.nextToken();
                if (wanted) {
                    datacenter = value == JsonToken.VALUE_STRING ? parser.getText() : null;
                }
                parser.skipChildren();
            }
            return parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null ? datacenter : null;
        } catch (IOException notJson) {
            return null;
        }
    }

    private static String quote(String text) {
        return new String(JsonStringEncoder.getInstance().quoteAsString(text));
    }
}
