package io.dcsidecar.powerjob.server;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;

/** Makes the channel to the sidecar. */
final class Channels {
    private static final String UNIX = "unix:";
    /** An update tells the routes of all applications: a few times the longest document that a sidecar takes. */
    private static final int MAX_UPDATE_BYTES = 64 << 20;

    private Channels() {}

    /**
     * Opens a channel to {@code unix:/path} or {@code host:port}; the connection itself comes with the first call.
     *
     * @throws IOException where a TLS file cannot be read
     * @throws IllegalArgumentException where the target or a TLS file is not what it should be
     */
    static ManagedChannel open(Settings settings) throws IOException {
        String target = settings.target;
        if (target.startsWith(UNIX + "/") && !target.startsWith(UNIX + "//")) {
            target = UNIX + "//" + target.substring(UNIX.length());
        }
        ManagedChannelBuilder<?> builder = Grpc.newChannelBuilder(target, credentials(settings.tls)).disableServiceConfigLookUp()
                // The sidecar is near; a proxy that the JVM is set to is for somebody else.
                .proxyDetector(address -> null).maxInboundMessageSize(MAX_UPDATE_BYTES);
        if (!settings.tls.serverName.isEmpty()) {
            builder.overrideAuthority(settings.tls.serverName);
        }
        return builder.build();
    }

    private static ChannelCredentials credentials(Settings.Tls tls) throws IOException {
        if (!tls.wanted()) {
            return InsecureChannelCredentials.create();
        }
        TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
        if (!tls.ca.isEmpty()) {
            builder.trustManager(new File(tls.ca));
        }
        if (!tls.certificate.isEmpty()) {
            builder.keyManager(new File(tls.certificate), new File(tls.key));
        }
        return builder.build();
    }
}
