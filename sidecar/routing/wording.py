"""English for the values of the rules: log, command line, webhooks and the text fields of the APIs say it this way."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.routing.changes import (
    Aspect,
    Backups,
    FailoverRule,
    MinWorkers,
    Preference,
    RampPlan,
    RouteChange,
    Service,
    WholeRoute,
    WorkerState,
)
from sidecar.routing.model import DEFAULT_OBSERVATIONS, FailBack, OnEmpty, Ramp, Sticky
from sidecar.routing.outage import Fault, FaultKind, Outage, OutageKind
from sidecar.routing.scalars import format_duration
from sidecar.routing.shares import Destination, Shares
from sidecar.routing.zone import show_time

_NAMED = 3
_DESTINATIONS = {
    Destination.ANYWHERE: "anywhere",
    Destination.ANYWHERE_IN_SERVICE: "anywhere in service",
    Destination.NOWHERE: "nowhere",
}
_FAULTS = {
    FaultKind.NO_WORKERS: "no workers",
    FaultKind.TOO_FEW_WORKERS: "{workers} of {needed} workers",
    FaultKind.PROBES: "probes: {probes}, since {since}",
    FaultKind.OTHER: "{text}",
}
_OUTAGES = {
    OutageKind.MARKED: "marked",
    OutageKind.DRILL: "drill",
    OutageKind.UNHEALTHY: "{fault}",
    OutageKind.FAILED_OVER: "failed over: {fault}, since {since}",
}


def named(names: Sequence[str], most: int = _NAMED) -> str:
    """Return the first names of a list, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def second(moment_ns: int) -> str:
    """Return a time to the second."""
    return show_time(moment_ns)


def percent(share: float) -> str:
    """Return a share in percent, to three significant digits."""
    return f"{100 * share:.3g} %"


def fault_text(fault: Fault) -> str:
    """Return a fault in words."""
    probes = ", ".join(f"{failure.probe}: {failure.error}" for failure in fault.probes)
    since = second(fault.since_ns) if fault.since_ns else ""
    return _FAULTS[fault.kind].format(
        workers=fault.workers, needed=fault.needed, probes=probes, since=since, text=fault.text
    )


def outage_text(outage: Outage) -> str:
    """Return why a datacenter is out of service, or why work has left it."""
    if outage.kind is OutageKind.DRILL and outage.reason:
        return f"drill: {outage.reason}"
    fault = fault_text(outage.fault) if outage.fault else ""
    return _OUTAGES[outage.kind].format(fault=fault, since=second(outage.since_ns) if fault else "")


def shares_text(shares: Shares) -> str:
    """Return where jobs go: `dc1`, or `dc1 90 %, dc2 10 %`, or in words."""
    if shares.destination is not Destination.DATACENTERS:
        return _DESTINATIONS[shares.destination]
    if len(shares.by_datacenter) == 1:
        return shares.by_datacenter[0][0]
    return ", ".join(f"{name} {percent(share)}" for name, share in shares.by_datacenter)


def change_text(change: RouteChange) -> str:
    """Return one change of routes in a line."""
    before = "" if change.before is None else f"{_aspect_text(change.before)} → "
    again = " again" if isinstance(change.after, Preference) and change.after.outage is None else ""
    return f"{named(change.subjects)}: {before}{_aspect_text(change.after)}{again}"


def _aspect_text(aspect: Aspect) -> str:
    match aspect:
        case Shares():
            return shares_text(aspect)
        case WholeRoute(shares, backups):
            return shares_text(shares) + (f", then {', '.join(backups)}" if backups else "")
        case RampPlan(ramp):
            return f"ramp to {ramp.target} {ramp_times_text(ramp)} in {ramp.steps} steps" if ramp else "no ramp"
        case Backups(names):
            return f"then {', '.join(names) or 'nobody'}"
        case MinWorkers(count):
            return f"min_workers {count}"
        case OnEmpty():
            return f"on_empty {aspect.value}"
        case Sticky():
            return f"sticky {aspect.value}"
        case FailoverRule():
            return failover_text(aspect)
        case Service(outage, apps):
            return _service_text(outage, apps)
        case WorkerState(drained, reason):
            return ("drained" + (f" ({reason})" if reason else "")) if drained else "available"
        case _:
            return f"{aspect.datacenter} {outage_text(aspect.outage) if aspect.outage else 'preferred'}"


def ramp_times_text(ramp: Ramp) -> str:
    """Return when a ramp starts and how long it takes."""
    return f"from {show_time(ramp.start_ns)} over {format_duration(ramp.duration_ns)}"


def _service_text(outage: Outage | None, apps: tuple[str, ...]) -> str:
    if outage is None:
        return "in service"
    if apps:
        return f"out of service for {named(apps)} ({outage_text(outage)})"
    return f"out of service ({outage_text(outage)})"


def failover_text(rule: FailoverRule) -> str:
    """Return how a route fails over and returns."""
    failover = rule.failover
    if failover is None:
        return "failover at once"
    leaves = f"after {format_duration(failover.after_ns)}" if failover.after_ns else "at once"
    returns = f"after {format_duration(failover.back_after_ns)}" if failover.back_after_ns else "at once"
    if failover.back is FailBack.MANUAL:
        returns = "by hand"
    sent = f", sent back at {show_time(failover.failed_back_ns)}" if failover.failed_back_ns is not None else ""
    shown = f", {failover.observations} observations" if failover.observations != DEFAULT_OBSERVATIONS else ""
    return f"failover {leaves}, back {returns}{shown}{sent}"
