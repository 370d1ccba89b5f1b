package io.dcsidecar.powerjob.server;

import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;
import org.springframework.beans.factory.ObjectProvider;
import tech.powerjob.server.persistence.remote.model.AppInfoDO;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;

/** The names of applications: operators write either the number or the name into the routing document. */
final class AppNames {
    private static final long FRESH_NANOS = TimeUnit.MINUTES.toNanos(1);

    private final ObjectProvider<AppInfoRepository> repository;
    private final ConcurrentMap<Long, Known> names = new ConcurrentHashMap<>();

    AppNames(ObjectProvider<AppInfoRepository> repository) {
        this.repository = repository;
    }

    /** Returns the name, at most a minute old where the database answers; the last one known else; null for none. */
    String of(Long app) {
        Known known = names.get(app);
        if (known != null && Clock.now() - known.at < FRESH_NANOS) {
            return known.name;
        }
        String name = known == null ? null : known.name;
        try {
            Optional<AppInfoDO> found = repository.getObject().findById(app);
            name = found.isPresent() ? found.get().getAppName() : null;
        } catch (RuntimeException databaseAway) {
            if (known == null) {
                return null;
            }
        }
        names.put(app, new Known(name, Clock.now()));
        return name;
    }

    private static final class Known {
        private final String name;
        private final long at;

        Known(String name, long at) {
            this.name = name;
            this.at = at;
        }
    }
}
