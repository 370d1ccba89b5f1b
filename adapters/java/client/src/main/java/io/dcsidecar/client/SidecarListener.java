package io.dcsidecar.client;

import io.dcsidecar.v1.RouteUpdate;

/** Is notified of what {@link SidecarClient} learns. Calls must return quickly and not throw. */
interface SidecarListener {
    /** A decision may be another from now on; {@code epoch} has begun with {@code update}. */
    default void onRoutes(RouteUpdate update, RoutingEpoch epoch) {}

    /** The check of each second is done; {@code answered} says whether the sidecar answered it. */
    default void onCheck(boolean answered) {}
}
