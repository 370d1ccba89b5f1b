package io.dcsidecar.powerjob.server;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** The last answer for each job, in a bounded LRU cache split into stripes with a lock each. */
final class AnswerCache {
    private static final int STRIPES = 16;

    private final Map<Key, SidecarAnswer>[] stripes;

    /** Holds about {@code capacity} answers. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    AnswerCache(int capacity) {
        stripes = new Map[STRIPES];
        int each = Math.max(1, capacity / STRIPES);
        for (int index = 0; index < STRIPES; index++) {
            stripes[index] = new LinkedHashMap<Key, SidecarAnswer>(16, 0.75f, true) {
                @Override
                protected boolean removeEldestEntry(Map.Entry<Key, SidecarAnswer> eldest) {
                    return size() > each;
                }
            };
        }
    }

    /** Returns the last answer, or null. */
    SidecarAnswer get(Key key) {
        Map<Key, SidecarAnswer> stripe = stripe(key);
        synchronized (stripe) {
            return stripe.get(key);
        }
    }

    void put(Key key, SidecarAnswer answer) {
        Map<Key, SidecarAnswer> stripe = stripe(key);
        synchronized (stripe) {
            stripe.put(key, answer);
        }
    }

    private Map<Key, SidecarAnswer> stripe(Key key) {
        int hash = key.hashCode();
        return stripes[(hash ^ hash >>> 16) & STRIPES - 1];
    }

    /** A job of an application. */
    static final class Key {
        private final Long app;
        private final Long job;

        Key(Long app, Long job) {
            this.app = app;
            this.job = job;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Key && Objects.equals(app, ((Key) other).app) && Objects.equals(job, ((Key) other).job);
        }

        @Override
        public int hashCode() {
            return 31 * Objects.hashCode(app) + Objects.hashCode(job);
        }
    }
}
