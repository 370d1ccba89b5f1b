package io.dcsidecar.client;

import java.util.LinkedHashMap;
import java.util.Map;

/** The last answer for each job, in a bounded LRU cache split into stripes with a lock each. */
final class AnswerCache<W> {
    private static final int STRIPES = 16;

    private final Map<Object, SidecarAnswer<W>>[] stripes;

    /** Holds about {@code capacity} answers. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    AnswerCache(int capacity) {
        stripes = new Map[STRIPES];
        int each = Math.max(1, capacity / STRIPES);
        for (int index = 0; index < STRIPES; index++) {
            stripes[index] = new LinkedHashMap<Object, SidecarAnswer<W>>(16, 0.75f, true) {
                @Override
                protected boolean removeEldestEntry(Map.Entry<Object, SidecarAnswer<W>> eldest) {
                    return size() > each;
                }
            };
        }
    }

    /** Returns the last answer, or null. */
    SidecarAnswer<W> get(Object key) {
        Map<Object, SidecarAnswer<W>> stripe = stripe(key);
        synchronized (stripe) {
            return stripe.get(key);
        }
    }

    void put(Object key, SidecarAnswer<W> answer) {
        Map<Object, SidecarAnswer<W>> stripe = stripe(key);
        synchronized (stripe) {
            stripe.put(key, answer);
        }
    }

    private Map<Object, SidecarAnswer<W>> stripe(Object key) {
        int hash = key.hashCode();
        return stripes[(hash ^ hash >>> 16) & STRIPES - 1];
    }
}
