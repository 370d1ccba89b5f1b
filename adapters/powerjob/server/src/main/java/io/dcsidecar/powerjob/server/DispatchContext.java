package io.dcsidecar.powerjob.server;

import tech.powerjob.server.persistence.remote.model.InstanceInfoDO;

/** The dispatch in progress on the current thread; PowerJob does not pass the instance down to worker selection. */
final class DispatchContext {
    private static final ThreadLocal<DispatchContext> CURRENT = new ThreadLocal<>();

    final Long instance;
    private final InstanceInfoDO record;
    private final DispatchContext outer;

    private DispatchContext(Long instance, InstanceInfoDO record, DispatchContext outer) {
        this.instance = instance;
        this.record = record;
        this.outer = outer;
    }

    /** Opens the context of {@code instance}; {@code record} is null if PowerJob has not loaded it. */
    static DispatchContext enter(Long instance, InstanceInfoDO record) {
        DispatchContext context = new DispatchContext(instance, record, CURRENT.get());
        CURRENT.set(context);
        return context;
    }

    /** Returns this thread's dispatch; null outside of one, as when a running MapReduce job looks for more workers. */
    static DispatchContext current() {
        return CURRENT.get();
    }

    /** Returns the id of the instance being dispatched on this thread, or null. */
    static String currentInstance() {
        DispatchContext context = CURRENT.get();
        return context == null || context.instance == null ? null : context.instance.toString();
    }

    /** Returns how long the instance is overdue, in milliseconds; 0 at its first attempt. */
    long overdueMillis() {
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
