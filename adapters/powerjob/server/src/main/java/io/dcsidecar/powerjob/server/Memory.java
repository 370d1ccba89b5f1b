package io.dcsidecar.powerjob.server;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** The last answer for each job; the ones not used for longest are forgotten first. */
final class Memory {
    private static final int STRIPES = 16;

    private final Map<Key, Answer>[] stripes;

    /** Holds about {@code capacity} answers. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    Memory(int capacity) {
        stripes = new Map[STRIPES];
        int each = Math.max(1, capacity / STRIPES);
        for (int at = 0; at < STRIPES; at++) {
            stripes[at] = new LinkedHashMap<Key, Answer>(16, 0.75f, true) {
                @Override
                protected boolean removeEldestEntry(Map.Entry<Key, Answer> eldest) {
                    return size() > each;
                }
            };
        }
    }

    /** Returns the last answer, or null. */
    Answer get(Key key) {
        Map<Key, Answer> stripe = stripe(key);
        synchronized (stripe) {
            return stripe.get(key);
        }
    }

    void put(Key key, Answer answer) {
        Map<Key, Answer> stripe = stripe(key);
        synchronized (stripe) {
            stripe.put(key, answer);
        }
    }

    private Map<Key, Answer> stripe(Key key) {
        int hash = key.hashCode();
        return stripes[(hash ^ hash >>> 16) & STRIPES - 1];
    }

    /** Whose answer it is. */
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
