package io.dcsidecar.client;

import java.nio.file.Path;
import java.time.Duration;

/** The settings of a client: properties under {@code dc-sidecar.}, or environment variables {@code DC_SIDECAR_…}. */
public final class ClientSettings {
    /** How to decide a job for which there is no answer, neither from the sidecar nor from the cache. */
    public enum OnOutage {
        /** Every worker is allowed, as without the client. */
        OPEN,
        /** No worker is allowed. */
        CLOSED,
        /** The workers are allowed that the last known routes and outages allow; if none are known, every worker. */
        LAST_KNOWN
    }

    /** Where the sidecar listens: {@code unix:/path} or {@code host:port}. */
    public final String target;
    /** The deadline of a call to the sidecar. */
    public final Duration timeout;
    public final OnOutage onOutage;
    /** Where the last known routes are kept over a restart; null if they are not. */
    public final Path stateDir;
    /** Where Prometheus scrapes the client, {@code host:port}; empty for nowhere. */
    public final String metrics;
    /** How long the last answer for a job is used after the sidecar last confirmed it. */
    public final Duration lastAnswerFor;
    /** The file with the bearer token that calls carry; empty for none. */
    final String tokenFile;
    final Tls tls;

    /** Reads the settings; {@code stateDir} is the default directory for the last known routes, in the user's home directory. */
    public ClientSettings(PropertyReader read, String stateDir) {
        target = read.target("target", "127.0.0.1:50051");
        timeout = read.duration("timeout", Duration.ofMillis(200));
        // The name that adapters up to 0.1 used; it had no last-known.
        onOutage = read.choice("on-outage", OnOutage.class, read.choice("when-away", OnOutage.class, OnOutage.LAST_KNOWN));
        this.stateDir = read.folder("state-dir", stateDir);
        metrics = read.text("metrics", "");
        lastAnswerFor = read.duration("last-answer-for", Duration.ofMinutes(10));
        tokenFile = read.text("token-file", "");
        tls = new Tls(read.bool("tls.enabled", false), read.text("tls.ca", ""), read.text("tls.certificate", ""),
                read.text("tls.key", ""), read.text("tls.server-name", ""));
    }

    /** Reads system properties, then environment variables; logs invalid values. */
    public static ClientSettings ofThisProcess() {
        PropertyReader read = new PropertyReader(ProcessProperties::get);
        ClientSettings settings = new ClientSettings(read, ".dc-sidecar");
        RoutingClient.logProblems(read.problems());
        return settings;
    }

    @Override
    public String toString() {
        return "target=" + target + (tls.isEnabled() ? " (TLS)" : "") + ", timeout=" + timeout.toMillis() + "ms, on-outage="
                + PropertyReader.lower(onOutage) + ", last-answer-for=" + lastAnswerFor.getSeconds() + "s, state-dir="
                + (stateDir == null ? "off" : stateDir) + (metrics.isEmpty() ? "" : ", metrics=" + metrics);
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
}
