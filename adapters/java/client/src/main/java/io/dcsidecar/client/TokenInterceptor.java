package io.dcsidecar.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** Sends the bearer token in a file with each call; a new one in it is used within two seconds. */
final class TokenInterceptor implements ClientInterceptor {
    static final Metadata.Key<String> AUTHORIZATION = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private static final long EVERY_NANOS = TimeUnit.SECONDS.toNanos(2);

    private final Path file;
    private volatile String header;
    private volatile long readAt;

    /**
     * Reads the token.
     *
     * @throws IOException if the file cannot be read or holds no token
     */
    TokenInterceptor(Path file) throws IOException {
        this.file = file;
        header = read();
        readAt = System.nanoTime();
    }

    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
        return new SimpleForwardingClientCall<Q, A>(next.newCall(method, options)) {
            @Override
            public void start(Listener<A> listener, Metadata headers) {
                headers.put(AUTHORIZATION, header());
                super.start(listener, headers);
            }
        };
    }

    private String header() {
        long now = System.nanoTime();
        if (now - readAt > EVERY_NANOS) {
            readAt = now;
            try {
                header = read();
            } catch (IOException unreadable) {
                // While it is being replaced it may be missing: the token before is used until then.
                return header;
            }
        }
        return header;
    }

    private String read() throws IOException {
        String token = new String(Files.readAllBytes(file), StandardCharsets.US_ASCII).trim();
        if (token.isEmpty()) {
            throw new IOException(file + " is empty, expected the token in it");
        }
        return "Bearer " + token;
    }
}
