package io.dcsidecar.powerjob.server;

import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;
import org.springframework.beans.factory.ObjectProvider;
import tech.powerjob.server.persistence.remote.model.AppInfoDO;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;

/** Application names by id, from PowerJob's database: the routing document may use either. */
final class AppNameCache {
    private static final long TTL_NANOS = TimeUnit.MINUTES.toNanos(1);

    private final ObjectProvider<AppInfoRepository> repository;
    private final ConcurrentMap<Long, Entry> entries = new ConcurrentHashMap<>();

    AppNameCache(ObjectProvider<AppInfoRepository> repository) {
        this.repository = repository;
    }

    /** Returns the name, at most a minute old, or the last known one while the database is down; null if there is none. */
    String nameOf(Long app) {
        Entry cached = entries.get(app);
        if (cached != null && System.nanoTime() - cached.readAt < TTL_NANOS) {
            return cached.name;
        }
        String name = cached == null ? null : cached.name;
        try {
            Optional<AppInfoDO> found = repository.getObject().findById(app);
            name = found.isPresent() ? found.get().getAppName() : null;
        } catch (RuntimeException databaseDown) {
            if (cached == null) {
                return null;
            }
        }
        entries.put(app, new Entry(name, System.nanoTime()));
        return name;
    }

    private static final class Entry {
        private final String name;
        private final long readAt;

        Entry(String name, long readAt) {
            this.name = name;
            this.readAt = readAt;
        }
    }
}
