package io.dcsidecar.client;

import com.google.protobuf.InvalidProtocolBufferException;
import io.dcsidecar.v1.RouteUpdate;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Remembers the last routes that the sidecar sent, also over a restart of the process. */
final class RouteMemory implements SidecarListener {
    private static final Logger LOG = LoggerFactory.getLogger(RouteMemory.class);

    private final RouteFile file;
    private volatile LastKnownRoutes routes;
    private volatile RouteUpdate unsaved;

    /** {@code file} is null if the routes are not to be kept on disk. */
    RouteMemory(RouteFile file) {
        this.file = file;
    }

    /** Reads the routes that an earlier process saved. */
    void load() {
        if (file == null) {
            return;
        }
        byte[] saved = file.read();
        if (saved == null) {
            return;
        }
        try {
            routes = new LastKnownRoutes(RouteUpdate.parseFrom(saved));
            LOG.info("Routes of revision {}, saved {} s ago, apply until the sidecar answers.", routes.revision,
                    TimeUnit.MILLISECONDS.toSeconds(System.currentTimeMillis() - file.savedAtMillis()));
        } catch (InvalidProtocolBufferException | RuntimeException malformed) {
            LOG.warn("Saved routes ignored: {}", malformed.toString());
        }
    }

    /** Returns the last known routes, or null. */
    LastKnownRoutes routes() {
        return routes;
    }

    @Override
    public void onRoutes(RouteUpdate update, RoutingEpoch epoch) {
        routes = new LastKnownRoutes(update);
        unsaved = update;
    }

    @Override
    public void onCheck(boolean answered) {
        RouteUpdate update = unsaved;
        if (file != null && update != null) {
            unsaved = null;
            file.write(update.toByteArray());
        }
    }
}
