package io.dcsidecar.powerjob.server;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.io.IOException;
import java.util.Objects;

/**
 * What a worker reports beside PowerJob's own metrics: a datacenter's name, or a JSON object with a {@code datacenter} member.
 *
 * <p>Applications put load figures into that object, which differ at each heartbeat. Only the datacenter counts for routing,
 * so only that is sent and compared.
 */
final class ExtraMetrics {
    private static final JsonFactory JSON = new JsonFactory();

    private ExtraMetrics() {}

    /** Returns the part of {@code extra} that the contract reads: bare text as it is, of an object its {@code datacenter}. */
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

    static boolean sameDatacenter(String one, String other) {
        if (Objects.equals(one, other)) {
            return true;
        }
        return one != null && other != null && isObject(one) && isObject(other)
                && Objects.equals(datacenterOf(one), datacenterOf(other));
    }

    private static boolean isObject(String extra) {
        for (int at = 0; at < extra.length(); at++) {
            if (!Character.isWhitespace(extra.charAt(at))) {
                return extra.charAt(at) == '{';
            }
        }
        return false;
    }

    /** Returns the last {@code datacenter} member that is a string; null where there is none or the text is no JSON. */
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
