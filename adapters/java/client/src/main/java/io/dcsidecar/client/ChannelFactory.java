package io.dcsidecar.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Paths;

/** Creates the gRPC channel to the sidecar. */
final class ChannelFactory {
    private static final String UNIX = "unix:";
    /** A route update lists all applications: several times the maximum document size of the sidecar. */
    private static final int MAX_UPDATE_BYTES = 64 << 20;

    private ChannelFactory() {}

    /**
     * Opens a channel to {@code unix:/path} or {@code host:port}. It connects on the first call.
     *
     * @throws IOException if a TLS file or the token cannot be read
     * @throws IllegalArgumentException if the target or a TLS file is malformed
     */
    static ManagedChannel open(ClientSettings settings) throws IOException {
        String target = settings.target;
        if (target.startsWith(UNIX + "/") && !target.startsWith(UNIX + "//")) {
            target = UNIX + "//" + target.substring(UNIX.length());
        }
        ManagedChannelBuilder<?> builder = Grpc.newChannelBuilder(target, credentials(settings.tls)).disableServiceConfigLookUp()
                // The sidecar is local or nearby; the JVM's proxy settings are meant for other traffic.
                .proxyDetector(address -> null).maxInboundMessageSize(MAX_UPDATE_BYTES);
        if (!settings.tls.serverName.isEmpty()) {
            builder.overrideAuthority(settings.tls.serverName);
        }
        if (!settings.tokenFile.isEmpty()) {
            builder.intercept(new TokenInterceptor(Paths.get(settings.tokenFile)));
        }
        return builder.build();
    }

    private static ChannelCredentials credentials(ClientSettings.Tls tls) throws IOException {
        if (!tls.isEnabled()) {
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
