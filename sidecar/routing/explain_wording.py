"""English for an explanation: the command line and the text fields of the API say it this way."""

from __future__ import annotations

from sidecar.routing.changes import Backups, MinWorkers
from sidecar.routing.explain import (
    KeyValue,
    OriginKind,
    Outcome,
    OutcomeKind,
    RampPosition,
    RankedDatacenter,
    RouteKey,
    VerdictKind,
)
from sidecar.routing.location import LocationSource
from sidecar.routing.model import Active, OnEmpty, Split, Sticky
from sidecar.routing.wording import failover_text, outage_text, ramp_times_text

_SOURCES = {
    LocationSource.REQUEST: "the request",
    LocationSource.METRICS: "its metrics",
    LocationSource.TAG: "its tag",
    LocationSource.ADDRESS: "its address",
}
_ORIGINS = {OriginKind.ROUTE: "{path}", OriginKind.DOCUMENT: "the document", OriginKind.BUILT_IN: "built in"}
_VERDICTS = {
    VerdictKind.SERVES: "serves",
    VerdictKind.SERVES_SHORT: "serves with fewer than min_workers {needed}",
    VerdictKind.OUT_OF_SERVICE: "out of service ({outage})",
    VerdictKind.FAILED_OVER: "{outage}",
    VerdictKind.NO_WORKERS: "cannot serve",
    VerdictKind.TOO_FEW_WORKERS: "fewer than min_workers {needed}",
    VerdictKind.NOT_NEEDED: "not needed",
}
_NONE = "No datacenter of the route can serve"
_OUTCOMES = {
    OutcomeKind.ACTIVE: "{datacenter} is the active datacenter and can serve.",
    OutcomeKind.ALL_WEIGHT: "{datacenter} has all the weight and can serve.",
    OutcomeKind.HIGHEST_SCORE: "{datacenter} has the highest score and can serve.",
    OutcomeKind.NEXT: "{preferred} cannot serve; {datacenter} is the next that can.",
    OutcomeKind.FAILED_OVER: "{preferred} {outage}; {datacenter} is the next that can.",
    OutcomeKind.SHORT: "No datacenter has {needed} workers; {datacenter} is the first with any.",
    OutcomeKind.PATIENT: "{datacenter} has fewer than {needed} workers, but not for failover.after yet: it serves.",
    OutcomeKind.ANY: f"{_NONE}; on_empty: any lets every worker in service through.",
    OutcomeKind.UNROUTED: "No active, split or ramp: every candidate passes.",
    OutcomeKind.NONE_IN_SERVICE: f"{_NONE}; nobody else is in service, so nobody may run the job.",
    OutcomeKind.REJECTED: f"{_NONE}; on_empty: reject, so nobody may run the job.",
}


def key_text(value: KeyValue) -> str:
    """Return the value of a key of a route."""
    match value:
        case Active(datacenter):
            return datacenter
        case Split(weights):
            return ", ".join(f"{name} {weight:g}" for name, weight in weights)
        case RampPosition(ramp, step):
            return f"{ramp.source} to {ramp.target}, step {step} of {ramp.steps}, {ramp_times_text(ramp)}"
        case Backups(names):
            return ", ".join(names) or "none"
        case MinWorkers(count):
            return str(count)
        case OnEmpty():
            return value.value
        case Sticky():
            return value.value
        case _:
            return failover_text(value)


def origin_text(key: RouteKey) -> str:
    """Return where the value of a key is written."""
    return _ORIGINS[key.origin].format(path=key.path)


def source_text(source: LocationSource | None) -> str:
    """Return the origin of a candidate's datacenter, "" where it is not known."""
    return "" if source is None else _SOURCES[source]


def verdict_text(choice: RankedDatacenter) -> str:
    """Return the fate of a datacenter in the order of preference."""
    outage = outage_text(choice.outage) if choice.outage else ""
    return _VERDICTS[choice.verdict].format(needed=choice.needed, outage=outage)


def outcome_text(outcome: Outcome) -> str:
    """Return how a decision came about, in a sentence."""
    return _OUTCOMES[outcome.kind].format(
        datacenter=outcome.datacenter,
        preferred=outcome.preferred,
        outage=outage_text(outcome.outage) if outcome.outage else "",
        needed=outcome.needed,
    )
