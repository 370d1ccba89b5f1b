package io.dcsidecar.powerjob.worker;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where this worker runs: what {@code dc-sidecar.datacenter} says, else the content of the file that
 * {@code dc-sidecar.datacenter-file} names, such as one of Kubernetes' downward API.
 *
 * <p>The file is read anew each time, so that a worker which was started before its pod's labels were complete finds out. A
 * file that cannot be read leaves the last name in force. A name is 1 to 63 of {@code A-Za-z0-9._-}, the first a letter or digit.
 */
final class Datacenter implements Supplier<String> {
    static final String NAME = "dc-sidecar.datacenter";
    static final String FILE = "dc-sidecar.datacenter-file";
    private static final String DEFAULT_FILE = "/etc/dc-sidecar/datacenter";
    private static final Pattern VALID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
    private static final Logger LOG = LoggerFactory.getLogger(Datacenter.class);

    private final UnaryOperator<String> properties;
    private String last = "";
    private String said = "";

    /** {@code properties} gives a property's value, or null. */
    Datacenter(UnaryOperator<String> properties) {
        this.properties = properties;
    }

    /** From system properties and environment variables, where {@code dc-sidecar.datacenter} is {@code DC_SIDECAR_DATACENTER}. */
    static Datacenter ofThisProcess() {
        return new Datacenter(name -> {
            String property = System.getProperty(name);
            return property != null ? property : System.getenv(name.toUpperCase(Locale.ROOT).replaceAll("[.-]", "_"));
        });
    }

    /** Returns the name, or an empty text where none is known. */
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
            say(last.isEmpty() ? "This worker reports no datacenter; its tag or address may tell. Set " + NAME + " or " + FILE
                    : "This worker reports datacenter " + last);
        } else {
            say("'" + name + "' from " + origin + " is no datacenter's name (1 to 63 of A-Za-z0-9._-); reporting '" + last + "'");
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

    private void say(String what) {
        if (!what.equals(said)) {
            said = what;
            LOG.info(what);
        }
    }
}
