import com.alibaba.nacos.client.auth.ram.utils.SpasAdapter;
import com.alibaba.nacos.plugin.auth.api.IdentityContext;
import com.alibaba.nacos.plugin.auth.api.Resource;
import com.alibaba.nacos.plugin.auth.constant.Constants;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Checks the signature of a request by the code of Nacos's own client, as Nacos does where it is a cloud service.
 * The secret key of the access key "ak" is in the file that the property tests.secret-key-file names.
 */
final class AccessKeys {
    static final List<String> HEADERS = List.of("Spas-AccessKey", "Spas-Signature", "Timestamp");
    private static final long SKEW_MS = 60_000;

    private AccessKeys() {}

    /** Returns why a request is refused, "" for nothing, and prints it with the kind of the request. */
    static String refusal(IdentityContext identity, Resource resource) {
        String reason;
        try {
            reason = check(identity, resource);
        } catch (Exception error) {
            reason = error.toString();
        }
        Object kind = resource.getProperties().getOrDefault(Constants.Resource.REQUEST_CLASS, "HTTP");
        System.out.println("access key: " + kind + " " + (reason.isEmpty() ? "accepted" : "refused: " + reason));
        return reason;
    }

    private static String check(IdentityContext identity, Resource resource) throws Exception {
        String time = identity.getParameter("Timestamp", "");
        if (!"ak".equals(identity.getParameter("Spas-AccessKey", ""))) {
            return "unknown access key";
        }
        if (Math.abs(System.currentTimeMillis() - Long.parseLong(time)) > SKEW_MS) {
            return "signed for another time";
        }
        String secret = Files.readString(Path.of(System.getProperty("tests.secret-key-file")));
        String signed = signed(named(resource.getNamespaceId()), named(resource.getGroup()));
        String expected = SpasAdapter.signWithHmacSha1Encrypt(signed.isEmpty() ? time : signed + "+" + time, secret);
        return expected.equals(identity.getParameter("Spas-Signature", "")) ? "" : "not the signature of " + signed;
    }

    /** Returns what a client signs beside the time: nothing for requests that name several keys. */
    private static String signed(String namespace, String group) {
        return namespace.isEmpty() || group.isEmpty() ? group : namespace + "+" + group;
    }

    private static String named(String part) {
        return part == null ? "" : part;
    }
}
