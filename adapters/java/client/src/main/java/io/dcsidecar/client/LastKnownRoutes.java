package io.dcsidecar.client;

import io.dcsidecar.v1.AppRoute;
import io.dcsidecar.v1.DatacenterInfo;
import io.dcsidecar.v1.RouteUpdate;
import io.dcsidecar.v1.WeightedDatacenter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The routes and outages of the last update from the sidecar, for decisions while it is unreachable. Immutable.
 *
 * <p>It knows which datacenters a job may use, not which of a split's datacenters is the job's: that takes the sidecar.
 */
final class LastKnownRoutes {
    final String revision;
    final long generation;
    private final AppRoute defaultRoute;
    private final boolean detailed;
    private final Map<String, AppRoute> routes = new HashMap<>();
    private final Map<String, AppRoute> jobRoutes = new HashMap<>();
    private final Map<String, Set<String>> outages = new HashMap<>();
    private final Set<String> datacenters = new HashSet<>();
    private final List<Network> networks = new ArrayList<>();
    private final List<String> drained;
    private final List<Network> drainedNetworks = new ArrayList<>();

    LastKnownRoutes(RouteUpdate update) {
        revision = update.getRevision();
        generation = update.getGeneration();
        defaultRoute = update.getDefaultRoute();
        detailed = update.getDetailed();
        addNames(defaultRoute);
        for (AppRoute route : update.getRoutesList()) {
            routes.put(route.getApp(), route);
            addNames(route);
        }
        update.getJobRoutesList().forEach(route -> jobRoutes.put(scope(route.getApp(), route.getJob()), route));
        update.getOutagesList().forEach(
                outage -> outages.computeIfAbsent(outage.getApp(), app -> new HashSet<>()).add(outage.getDatacenter()));
        for (DatacenterInfo datacenter : update.getDatacentersList()) {
            datacenters.add(datacenter.getName());
            datacenter.getCidrsList().forEach(cidr -> Network.parse(cidr, datacenter.getName()).ifPresent(networks::add));
        }
        drained = update.getDrainedWorkersList();
        drained.forEach(match -> Network.parse(match, "").ifPresent(drainedNetworks::add));
        networks.sort((one, other) -> Integer.compare(other.prefix, one.prefix));
    }

    /**
     * Returns the workers that a job may run on, in the given order: those in the datacenters of its selector that are in service;
     * if there are none, those of its backups, one after the other; if there are none, those in no known datacenter.
     *
     * @param names the application's names in the order of the request
     */
    <W> List<W> select(SchedulerTypes<?, W> types, List<String> names, String job, List<W> workers) {
        AppRoute route = routeOf(names, job);
        Set<String> out = outOfService(names, job, route);
        Map<String, List<W>> byDatacenter = new HashMap<>();
        workers = workers.stream().filter(worker -> !isDrained(types.address(worker))).collect(Collectors.toList());
        for (W worker : workers) {
            byDatacenter.computeIfAbsent(locate(types, worker), name -> new ArrayList<>()).add(worker);
        }
        byDatacenter.keySet().removeAll(out);
        if (isUnrouted(route)) {
            return among(types, workers, byDatacenter.keySet());
        }
        Set<String> primary = selected(route);
        primary.retainAll(byDatacenter.keySet());
        if (!primary.isEmpty()) {
            return among(types, workers, primary);
        }
        for (String backup : route.getBackupsList()) {
            if (byDatacenter.containsKey(backup)) {
                return byDatacenter.get(backup);
            }
        }
        return byDatacenter.getOrDefault("", new ArrayList<>());
    }

    /** Returns whether the document has drained the worker at {@code address}. */
    boolean isDrained(String address) {
        if (address == null || drained.isEmpty()) {
            return false;
        }
        for (String match : drained) {
            boolean matches = match.endsWith("*") ? address.startsWith(match.substring(0, match.length() - 1))
                    : match.startsWith("*") ? address.endsWith(match.substring(1)) : address.equals(match);
            if (matches) {
                return true;
            }
        }
        byte[] ip = drainedNetworks.isEmpty() ? null : Network.addressOf(address);
        return ip != null && drainedNetworks.stream().anyMatch(network -> network.contains(ip));
    }

    /** Returns whether {@code datacenter} may still run the job: it is in the job's route, maybe as a backup, and in service. */
    boolean allows(List<String> names, String job, String datacenter, boolean asBackup) {
        AppRoute route = routeOf(names, job);
        if (outOfService(names, job, route).contains(datacenter)) {
            return false;
        }
        // An older sidecar does not send the routes of single jobs, which may lead anywhere.
        return !detailed || isUnrouted(route) || selected(route).contains(datacenter)
                || asBackup && route.getBackupsList().contains(datacenter);
    }

    /** Returns the worker's datacenter by the rules of the sidecar (docs/decision-rules.md), or an empty string. */
    <W> String locate(SchedulerTypes<?, W> types, W worker) {
        String reported = WorkerMetrics.datacenter(types.metrics(worker));
        if (!reported.isEmpty()) {
            return reported;
        }
        String tags = types.tag(worker);
        if (tags != null) {
            for (String tag : tags.split(",")) {
                if (datacenters.contains(tag.trim())) {
                    return tag.trim();
                }
            }
        }
        byte[] address = networks.isEmpty() ? null : Network.addressOf(types.address(worker));
        if (address != null) {
            for (Network network : networks) {
                if (network.contains(address)) {
                    return network.datacenter;
                }
            }
        }
        return "";
    }

    private AppRoute routeOf(List<String> names, String job) {
        for (String name : names) {
            AppRoute route = routes.get(name);
            if (route != null) {
                return jobRoutes.getOrDefault(scope(name, job), route);
            }
        }
        return defaultRoute;
    }

    private Set<String> outOfService(List<String> names, String job, AppRoute route) {
        Set<String> out = new HashSet<>(route.getUnavailableList());
        out.addAll(outages.getOrDefault("", new HashSet<>()));
        for (String name : names) {
            out.addAll(outages.getOrDefault(name, new HashSet<>()));
            out.addAll(outages.getOrDefault(scope(name, job), new HashSet<>()));
        }
        return out;
    }

    private <W> List<W> among(SchedulerTypes<?, W> types, List<W> workers, Set<String> wanted) {
        List<W> chosen = new ArrayList<>();
        for (W worker : workers) {
            if (wanted.contains(locate(types, worker))) {
                chosen.add(worker);
            }
        }
        return chosen;
    }

    private void addNames(AppRoute route) {
        datacenters.addAll(selected(route));
        datacenters.addAll(route.getBackupsList());
    }

    private static Set<String> selected(AppRoute route) {
        Set<String> names = new LinkedHashSet<>();
        for (WeightedDatacenter weighted : route.getWeightsList()) {
            if (weighted.getWeight() > 0) {
                names.add(weighted.getDatacenter());
            }
        }
        return names;
    }

    private static boolean isUnrouted(AppRoute route) {
        return route.getWeightsCount() == 0;
    }

    private static String scope(String app, String job) {
        return app + "/" + job;
    }
}
