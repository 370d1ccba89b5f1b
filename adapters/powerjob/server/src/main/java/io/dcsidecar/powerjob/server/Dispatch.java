package io.dcsidecar.powerjob.server;

import tech.powerjob.server.persistence.remote.model.InstanceInfoDO;

/** The dispatch that the current thread is in: what PowerJob does not pass down to where workers are chosen. */
final class Dispatch {
    private static final ThreadLocal<Dispatch> CURRENT = new ThreadLocal<>();

    final Long instance;
    private final InstanceInfoDO record;
    private final Dispatch outer;

    private Dispatch(Long instance, InstanceInfoDO record, Dispatch outer) {
        this.instance = instance;
        this.record = record;
        this.outer = outer;
    }

    /** Enters the dispatch of {@code instance}; {@code record} is null where PowerJob has not read it. */
    static Dispatch enter(Long instance, InstanceInfoDO record) {
        Dispatch dispatch = new Dispatch(instance, record, CURRENT.get());
        CURRENT.set(dispatch);
        return dispatch;
    }

    /** Returns the dispatch of this thread, or null, as where a running MapReduce job looks for more workers. */
    static Dispatch current() {
        return CURRENT.get();
    }

    /** Tells for how many milliseconds the instance has been due; 0 at its first attempt. */
    long dueForMillis() {
        Long due = record == null ? null : record.getExpectedTriggerTime();
        return due == null ? 0 : Math.max(0, System.currentTimeMillis() - due);
    }

    void leave() {
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
    }
}
