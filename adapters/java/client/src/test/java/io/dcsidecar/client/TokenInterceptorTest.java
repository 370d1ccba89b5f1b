package io.dcsidecar.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.dcsidecar.v1.GetStatusRequest;
import io.dcsidecar.v1.RoutingServiceGrpc;
import io.dcsidecar.v1.SidecarStatus;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenInterceptorTest {
    @TempDir
    Path folder;

    @Test
    @DisplayName("Each call carries the token of the file")
    void presented() throws IOException {
        List<String> seen = new CopyOnWriteArrayList<>();
        ServerInterceptor watch = new ServerInterceptor() {
            @Override
            public <Q, A> ServerCall.Listener<Q> interceptCall(ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
                seen.add(headers.get(TokenInterceptor.AUTHORIZATION));
                return next.startCall(call, headers);
            }
        };
        RoutingServiceGrpc.RoutingServiceImplBase service = new RoutingServiceGrpc.RoutingServiceImplBase() {
            @Override
            public void getStatus(GetStatusRequest request, StreamObserver<SidecarStatus> answer) {
                answer.onNext(SidecarStatus.getDefaultInstance());
                answer.onCompleted();
            }
        };
        Server server = Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create()).addService(service).intercept(watch).build().start();
        Path file = Files.write(folder.resolve("token"), "secret\n".getBytes());
        ManagedChannel channel = ChannelFactory.open(
                Fixtures.settings("target", "127.0.0.1:" + server.getPort(), "token-file", file.toString()));
        try {
            RoutingServiceGrpc.newBlockingStub(channel).getStatus(GetStatusRequest.getDefaultInstance());
        } finally {
            channel.shutdownNow();
            server.shutdownNow();
        }
        assertEquals(Collections.singletonList("Bearer secret"), seen);
    }

    @Test
    @DisplayName("A file without a token is an error when the channel is opened")
    void unreadable() throws IOException {
        assertThrows(IOException.class, () -> ChannelFactory.open(Fixtures.settings("token-file", folder.resolve("none").toString())));
        Path empty = Files.write(folder.resolve("empty"), new byte[0]);
        assertThrows(IOException.class, () -> ChannelFactory.open(Fixtures.settings("token-file", empty.toString())));
    }
}
