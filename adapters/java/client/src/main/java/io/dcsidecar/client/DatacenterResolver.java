package io.dcsidecar.client;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Resolves this worker's datacenter: the property {@code dc-sidecar.datacenter}, else the content of the file named by
 * {@code dc-sidecar.datacenter-file}, such as one of Kubernetes' downward API.
 *
 * <p>The file is read at every call, because a pod's labels may be completed after the worker has started. While the file is
 * unreadable the last name stays. A name is 1 to 63 characters of {@code A-Za-z0-9._-}, the first a letter or digit.
 */
public final class DatacenterResolver implements Supplier<String> {
    /** The property that names the datacenter. */
    public static final String NAME = "dc-sidecar.datacenter";
    /** The property that names a file with the datacenter. */
    public static final String FILE = "dc-sidecar.datacenter-file";
    private static final String DEFAULT_FILE = "/etc/dc-sidecar/datacenter";
    private static final Pattern VALID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
    private static final Logger LOG = LoggerFactory.getLogger(DatacenterResolver.class);

    private final UnaryOperator<String> properties;
    private String last = "";
    private String logged = "";

    /** {@code properties} returns the value of a property, or null. */
    public DatacenterResolver(UnaryOperator<String> properties) {
        this.properties = properties;
    }

    /** Reads system properties, then environment variables: {@code dc-sidecar.datacenter}, {@code DC_SIDECAR_DATACENTER}. */
    public static DatacenterResolver ofThisProcess() {
        return new DatacenterResolver(ProcessProperties::get);
    }

    /** Returns the name, or an empty string if none is known. */
    @Override
    public synchronized String get() {
        String name = properties.apply(NAME);
        String origin = NAME;
        if (name == null || name.trim().isEmpty()) {
            String file = properties.apply(FILE);
            origin = file == null ? DEFAULT_FILE : file;
            name = read(Paths.get(origin), file != null);
        }
        name = name.trim();
        if (name.isEmpty() || VALID.matcher(name).matches()) {
            last = name.isEmpty() ? last : name;
            log(last.isEmpty() ? "This worker reports no datacenter; the sidecar falls back to its tag or address. Set " + NAME
                    + " or " + FILE : "This worker reports datacenter " + last);
        } else {
            log("Invalid datacenter name '" + name + "' from " + origin + ", expected 1 to 63 of A-Za-z0-9._-; reporting '" + last
                    + "'");
        }
        return last;
    }

    private String read(Path file, boolean expected) {
        try {
            return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        } catch (IOException unreadable) {
            if (expected && last.isEmpty()) {
                LOG.debug("No datacenter in {}: {}", file, unreadable.toString());
            }
            return "";
        }
    }

    private void log(String message) {
        if (!message.equals(logged)) {
            logged = message;
            LOG.info(message);
        }
    }
}
