"""Values of the rules as JSON carries them: codes with their parameters, beside the English text where one is kept.

Times are RFC 3339, durations as the document writes them; empty and unknown values are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.routing.changes import (
    Aspect,
    Backups,
    FailoverRule,
    MinWorkers,
    RampPlan,
    RouteChange,
    Service,
    WholeRoute,
    WorkerState,
)
from sidecar.routing.model import DEFAULT_OBSERVATIONS, Failover, OnEmpty, Ramp, Sticky
from sidecar.routing.outage import Fault, Outage
from sidecar.routing.scalars import format_duration, format_time
from sidecar.routing.shares import Shares

Plain = dict[str, Any]

_NAMES = 20


def filled(fields: Mapping[str, Any]) -> Plain:
    """Return the fields that say something."""
    return {name: value for name, value in fields.items() if value not in ("", None, 0, (), [], {})}


def time_plain(moment_ns: int | None) -> str | None:
    """Return a time in Unix nanoseconds as RFC 3339, None for none."""
    return format_time(moment_ns) if moment_ns else None


def fault_plain(fault: Fault) -> Plain:
    """Return a fault: kind, workers, needed, probes, since, text."""
    probes = [{"probe": failure.probe, "error": failure.error} for failure in fault.probes]
    return {
        "kind": fault.kind.value,
        **filled(
            {
                "workers": fault.workers,
                "needed": fault.needed,
                "probes": probes,
                "since": time_plain(fault.since_ns),
                "text": fault.text,
            }
        ),
    }


def outage_plain(outage: Outage) -> Plain:
    """Return an outage: kind, since, until, reason, fault."""
    # Made for each route that has one, so only fields that are set are looked at.
    found: Plain = {"kind": outage.kind.value}
    if outage.since_ns:
        found["since"] = format_time(outage.since_ns)
    if outage.until_ns:
        found["until"] = format_time(outage.until_ns)
    if outage.reason:
        found["reason"] = outage.reason
    if outage.fault is not None:
        found["fault"] = fault_plain(outage.fault)
    return found


def shares_plain(shares: Shares) -> Plain:
    """Return where jobs go: destination, and the shares by datacenter."""
    return {
        "destination": shares.destination.value,
        **filled({"shares": {name: round(share, 6) for name, share in shares.by_datacenter}}),
    }


def change_plain(change: RouteChange) -> Plain:
    """Return a change of routes: kind, subjects (the first of `total`), before (None for none), after."""
    return {
        "kind": change.kind.value,
        "subjects": list(change.subjects[:_NAMES]),
        "total": len(change.subjects),
        "before": None if change.before is None else aspect_plain(change.before),
        "after": aspect_plain(change.after),
    }


def aspect_plain(aspect: Aspect) -> Plain:
    """Return one side of a change."""
    match aspect:
        case Shares():
            return shares_plain(aspect)
        case WholeRoute(shares, backups):
            return {**shares_plain(shares), "backups": list(backups)}
        case RampPlan(ramp):
            return {"ramp": None if ramp is None else ramp_plain(ramp)}
        case Backups(names):
            return {"backups": list(names)}
        case MinWorkers(count):
            return {"min_workers": count}
        case OnEmpty():
            return {"on_empty": aspect.value}
        case Sticky():
            return {"sticky": aspect.value}
        case FailoverRule(failover):
            return {"failover": None if failover is None else _failover_plain(failover)}
        case Service(outage, apps):
            return {
                "outage": None if outage is None else outage_plain(outage),
                **filled({"apps": list(apps[:_NAMES]), "total": len(apps)}),
            }
        case WorkerState(drained, reason):
            return {"drained": drained, **filled({"reason": reason})}
        case _:
            outage = aspect.outage
            return {"datacenter": aspect.datacenter, "outage": None if outage is None else outage_plain(outage)}


def ramp_plain(ramp: Ramp) -> Plain:
    """Return a ramp: from, to, start, duration, steps."""
    return {
        "from": ramp.source,
        "to": ramp.target,
        "start": format_time(ramp.start_ns),
        "duration": format_duration(ramp.duration_ns),
        "steps": ramp.steps,
    }


def _failover_plain(failover: Failover) -> Plain:
    return {
        "back": failover.back.value,
        **filled(
            {
                "after": format_duration(failover.after_ns) if failover.after_ns else None,
                "back_after": format_duration(failover.back_after_ns) if failover.back_after_ns else None,
                "failed_back": time_plain(failover.failed_back_ns),
                "observations": None if failover.observations == DEFAULT_OBSERVATIONS else failover.observations,
            }
        ),
    }
