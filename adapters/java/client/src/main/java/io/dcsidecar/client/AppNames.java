package io.dcsidecar.client;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** The names of an application; the routing document may use any of them. Immutable. */
public final class AppNames {
    final List<String> all;
    final boolean complete;

    private AppNames(boolean complete, List<String> all) {
        this.complete = complete;
        this.all = all;
    }

    /** Returns the names: the shares of a split are taken over {@code name}. */
    public static AppNames of(String name, String... aliases) {
        String[] names = new String[aliases.length + 1];
        names[0] = name;
        System.arraycopy(aliases, 0, names, 1, aliases.length);
        return new AppNames(true, Collections.unmodifiableList(Arrays.asList(names)));
    }

    /** Returns the only name known at the moment; an answer for it is used once and not cached. */
    public static AppNames incomplete(String name) {
        return new AppNames(false, Collections.singletonList(name));
    }
}
