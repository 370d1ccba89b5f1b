package io.dcsidecar.client;

import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Selects the workers that may run a job now, as the sidecar decides: from memory while an answer is valid, else by a call, and
 * without the sidecar by the last answer or as {@code dc-sidecar.on-outage} says.
 *
 * <p>One client serves a whole process. It connects in the background, watches for changes, and logs each outage once.
 *
 * @param <J> a job of the scheduler
 * @param <W> a worker of the scheduler
 */
public final class RoutingClient<J, W> implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RoutingClient.class);
    private static final long FIRST_CONTACT_MS = 5000;

    final DecisionCounters counters = new DecisionCounters();
    final Router<J, W> router;
    private final ClientSettings settings;
    private final SidecarClient sidecar;
    private final RouteMemory memory;
    private final OutageLog outage = new OutageLog();
    private final PrometheusEndpoint prometheus;
    private final RoutingJmx jmx;
    private Prefetcher<J, W> prefetcher;

    /** Reads the saved routes and serves the metrics; connects at {@link #start}. */
    public RoutingClient(ClientSettings settings, SchedulerTypes<J, W> types) {
        this.settings = settings;
        memory = new RouteMemory(settings.stateDir == null ? null : new RouteFile(settings.stateDir, settings.target));
        memory.load();
        sidecar = new SidecarClient(() -> ChannelFactory.open(settings), settings.timeout.toNanos());
        sidecar.addListener(memory);
        sidecar.addListener(outage);
        router = new Router<>(settings, types, sidecar, memory, outage, counters);
        prometheus = new PrometheusEndpoint(settings.metrics, sidecar, router, counters);
        jmx = new RoutingJmx(sidecar, router, counters);
    }

    /** Opens a client for the plain types {@link Job} and {@link Worker}. */
    public static RoutingClient<Job, Worker> open(ClientSettings settings) {
        RoutingClient<Job, Worker> client = new RoutingClient<>(settings, new PlainTypes());
        client.start();
        return client;
    }

    /** Connects in the background, now and whenever the connection is lost. */
    public void start() {
        sidecar.start();
    }

    /**
     * Fetches answers in the background after each change, for the jobs of the last hour, so that few selections call the sidecar.
     * Call it before {@link #start}.
     *
     * @param candidates returns the workers that are candidates for a job now
     */
    public void prefetch(Function<J, List<W>> candidates) {
        prefetcher = new Prefetcher<>(sidecar, router, candidates);
        sidecar.addListener(prefetcher);
    }

    /**
     * Returns the {@code workers} that may run {@code job}, in the given order, none if no datacenter may run it. Never throws, and
     * never blocks longer than {@code dc-sidecar.timeout}.
     *
     * @param instance the id of this run, for routes with {@code sticky: instance}; null if unknown
     */
    public List<W> select(J job, String instance, List<W> workers) {
        return router.route(job, instance, workers);
    }

    /** As {@link #select(Object, String, List)}, without an instance. */
    public List<W> select(J job, List<W> workers) {
        return select(job, null, workers);
    }

    /** Returns the current epoch, in which the sidecar's decisions do not change; null while there is no watch. */
    public RoutingEpoch epoch() {
        return sidecar.epoch();
    }

    /** Returns why the sidecar cannot be called at the moment; null if it answered last. */
    public String unavailable() {
        return sidecar.unavailable();
    }

    /** Returns the metrics. */
    public RoutingMXBean metrics() {
        return jmx;
    }

    /** Counts a dispatch that is held because no worker may run the job. */
    public void countHeld() {
        counters.countHeld();
    }

    /** Returns the port that serves {@code /metrics}, or 0 if none does. */
    public int metricsPort() {
        return prometheus.port();
    }

    /** Returns whether the prefetching has made the connection and the code paths ready. */
    public boolean isWarm() {
        return prefetcher != null && prefetcher.isWarm();
    }

    /** Waits until the sidecar has answered, or cannot be reached, at most {@code millis}; returns whether it answers. */
    public boolean awaitFirstContact(long millis) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        while (!sidecar.isContacted() && System.nanoTime() < deadline) {
            Thread.sleep(10);
        }
        return sidecar.unavailable() == null;
    }

    /** Logs in the background whether the sidecar answers within 5 s; otherwise the first selection would be the first to notice. */
    public void logFirstContact() {
        Thread first = new Thread(this::reportFirstContact, "dc-sidecar-first-contact");
        first.setDaemon(true);
        first.start();
    }

    @Override
    public void close() {
        outage.close();
        if (prefetcher != null) {
            prefetcher.close();
        }
        sidecar.close();
        prometheus.close();
        jmx.close();
    }

    static void logProblems(List<String> problems) {
        problems.forEach(problem -> LOG.error("Invalid setting: {}", problem));
    }

    private void reportFirstContact() {
        try {
            long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(FIRST_CONTACT_MS);
            String reason = sidecar.unavailable();
            while (reason != null && System.nanoTime() < deadline) {
                Thread.sleep(100);
                reason = sidecar.unavailable();
            }
            if (reason == null) {
                LOG.info("The sidecar at {} answers.", settings.target);
            } else {
                LOG.warn("The sidecar at {} does not answer: {}. Start it, or correct dc-sidecar.target; until it answers, "
                        + "dc-sidecar.on-outage decides.", settings.target, reason);
            }
        } catch (InterruptedException closing) {
            Thread.currentThread().interrupt();
        }
    }
}
