package io.dcsidecar.client;

import java.util.Locale;

/** The settings of this process: system properties and environment variables. */
public final class ProcessProperties {
    private ProcessProperties() {}

    /** Returns the system property {@code dc-sidecar.…}, else the environment variable {@code DC_SIDECAR_…}, else null. */
    public static String get(String name) {
        String property = System.getProperty(name);
        return property != null ? property : System.getenv(name.toUpperCase(Locale.ROOT).replaceAll("[.-]", "_"));
    }
}
