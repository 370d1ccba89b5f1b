package io.dcsidecar.client;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.dcsidecar.client.DecisionCounters.Origin;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves the client's metrics to Prometheus at {@code http://host:port/metrics}, if {@code dc-sidecar.metrics} is set.
 */
final class PrometheusEndpoint implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(PrometheusEndpoint.class);

    private final SidecarClient sidecar;
    private final Router<?, ?> router;
    private final DecisionCounters counters;
    private HttpServer server;

    PrometheusEndpoint(String address, SidecarClient sidecar, Router<?, ?> router, DecisionCounters counters) {
        this.sidecar = sidecar;
        this.router = router;
        this.counters = counters;
        if (!address.isEmpty()) {
            listen(address);
        }
    }

    @Override
    public void close() {
        if (server != null) {
            server.stop(0);
        }
    }

    /** Returns the port, or 0 if nothing is served. */
    int port() {
        return server == null ? 0 : server.getAddress().getPort();
    }

    private void listen(String address) {
        try {
            int colon = address.lastIndexOf(':');
            String host = address.substring(0, colon).replaceAll("^\\[|]$", "");
            int port = Integer.parseInt(address.substring(colon + 1));
            HttpServer created = HttpServer.create(new InetSocketAddress(InetAddress.getByName(host), port), 8);
            created.createContext("/metrics", this::reply);
            created.setExecutor(Executors.newSingleThreadExecutor(task -> {
                Thread thread = new Thread(task, "dc-sidecar-metrics");
                thread.setDaemon(true);
                return thread;
            }));
            created.start();
            server = created;
        } catch (IOException | RuntimeException failed) {
            LOG.warn("dc-sidecar.metrics: cannot listen on '{}', expected host:port such as 0.0.0.0:9465: {}", address,
                    failed.toString());
        }
    }

    private void reply(HttpExchange exchange) throws IOException {
        byte[] body = text().getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        exchange.sendResponseHeaders(200, body.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(body);
        }
    }

    private String text() {
        StringBuilder text = new StringBuilder(2048);
        header(text, "decisions_total", "counter", "Decisions by origin");
        for (Origin origin : Origin.values()) {
            text.append("dc_sidecar_decisions_total{origin=\"").append(origin.tag).append("\"} ").append(counters.decisions(origin))
                    .append('\n');
        }
        RoutingEpoch epoch = sidecar.epoch();
        metric(text, "outages_total", "counter", "Episodes in which runs were decided without the sidecar", router.outages());
        metric(text, "unanswered_total", "counter", "Decisions that the sidecar did not answer in time", counters.unanswered());
        metric(text, "prefetched_total", "counter", "Answers fetched in the background", counters.prefetched());
        metric(text, "held_total", "counter", "Dispatches held because no worker may run the job", counters.held());
        metric(text, "without_workers_total", "counter", "Decisions that left no worker", counters.withoutWorkers());
        metric(text, "away", "gauge", "1 while runs are decided without the sidecar", router.isSidecarAway() ? 1 : 0);
        metric(text, "watching", "gauge", "1 while the watch is up and cached answers are valid", epoch == null ? 0 : 1);
        metric(text, "generation", "gauge", "Generation of the sidecar that cached answers belong to; 0 without a watch",
                epoch == null ? 0 : epoch.generation);
        return text.toString();
    }

    private static void metric(StringBuilder text, String name, String type, String help, long value) {
        header(text, name, type, help);
        text.append("dc_sidecar_").append(name).append(' ').append(value).append('\n');
    }

    private static void header(StringBuilder text, String name, String type, String help) {
        text.append("# HELP dc_sidecar_").append(name).append(' ').append(help).append("\n# TYPE dc_sidecar_").append(name).append(' ')
                .append(type).append('\n');
    }
}
