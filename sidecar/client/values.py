"""Arguments and results of the client, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sidecar.lifecycle import SourceState
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import Reason
from sidecar.routing.outage import Fault, FaultKind, OutageKind, ProbeFailure

_NS_PER_MS = 1_000_000
_OUTAGE_KINDS: dict[int, OutageKind] = {
    pb.OUTAGE_KIND_MARKED: OutageKind.MARKED,
    pb.OUTAGE_KIND_DRILL: OutageKind.DRILL,
    pb.OUTAGE_KIND_UNHEALTHY: OutageKind.UNHEALTHY,
    pb.OUTAGE_KIND_FAILED_OVER: OutageKind.FAILED_OVER,
}
_FAULT_KINDS: dict[int, FaultKind] = {
    pb.FAULT_KIND_NO_WORKERS: FaultKind.NO_WORKERS,
    pb.FAULT_KIND_TOO_FEW_WORKERS: FaultKind.TOO_FEW_WORKERS,
    pb.FAULT_KIND_PROBES: FaultKind.PROBES,
    pb.FAULT_KIND_OTHER: FaultKind.OTHER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to connect with TLS; all files are PEM. `ca` signs the sidecar's certificate, or the system's authorities do.

    `cert` and `key` are the client's own, both or none. `server_name` is the name that the sidecar's certificate has,
    where that is not the host of the address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class FilterResult:
    """A decision: the candidates selected, in the request's order, and their positions in it from 0.

    `datacenter` is "" where no single one serves. `stale` is True where the config center cannot be reached and the
    last good document decided. `for_instance` is True if another instance of the job may get another answer,
    `undecided` if the sidecar needs the next request as evidence: such an answer must not be kept.
    """

    addresses: tuple[str, ...]
    indices: tuple[int, ...]
    datacenter: str
    reason: Reason
    revision: str
    generation: int
    stale: bool
    for_instance: bool = False
    undecided: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """A datacenter that is out of service, or that an application has failed over from; `app` is "" for all.

    `reason` is the text for people. The rest is for programs: the `kind`, since when and until when (Unix milliseconds,
    0 where it is not known), the reason of a drill, and the fault of an UNHEALTHY or FAILED_OVER one. A sidecar of an
    older version sends the text only; then `kind` is None.
    """

    datacenter: str
    app: str
    reason: str
    kind: OutageKind | None = None
    since_ms: int = 0
    until_ms: int = 0
    drill_reason: str = ""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class AppRoute:
    """The route of an application as it stands now; weights in the document's order. `app` is "" for the default.

    `workers` are those of the newest request for the application that the sidecar answered, by datacenter, and
    `workers_seen_at_ms` when it came (Unix milliseconds, 0 for never). `fewest_workers` are the fewest that
    `workers_runs` different runs have shown; from 3 on that is evidence (0 if the sidecar does not count).
    `dispatch_names` are the application's names in the newest dispatch request, `app` first. An update has none of
    these. `job` is set for the route of a single job.
    """

    app: str
    weights: tuple[tuple[str, float], ...]
    backups: tuple[str, ...]
    unavailable: tuple[str, ...]
    min_workers: int
    revision: str
    generation: int
    outages: tuple[Outage, ...] = ()
    workers: tuple[tuple[str, int], ...] = ()
    workers_seen_at_ms: int = 0
    fewest_workers: tuple[tuple[str, int], ...] = ()
    workers_runs: int = 0
    dispatch_names: tuple[str, ...] = ()
    job: str = ""


@dataclass(frozen=True, slots=True)
class RouteUpdate:
    """The routes that decisions are made from, from now on: the default one, and those that the document names.

    The rest is complete only where `detailed` is set: the names of the `datacenters` block, the routes of single jobs,
    all outages.
    """

    revision: str
    generation: int
    stale: bool
    default: AppRoute
    routes: tuple[AppRoute, ...]
    datacenters: tuple[str, ...] = ()
    job_routes: tuple[AppRoute, ...] = ()
    outages: tuple[Outage, ...] = ()
    detailed: bool = False


@dataclass(frozen=True, slots=True)
class GrayVersion:
    """A gray version that the config center serves a sidecar since `since_ms`, and the clients that get it."""

    rule: str
    clients: tuple[str, ...]
    since_ms: int


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a sidecar: the served document, and how fresh it is; times are Unix milliseconds, 0 for never."""

    version: str
    source: str
    source_state: SourceState
    source_error: str
    revision: str
    generation: int
    applied_at_ms: int
    confirmed_at_ms: int
    from_snapshot: bool
    outages: tuple[Outage, ...] = ()
    gray: GrayVersion | None = None
    environment: str = ""


def filter_result(answer: pb.FilterWorkersResponse, candidates: list[str]) -> FilterResult:
    """Return an answer whose addresses are those of the request, by position."""
    indices = tuple(answer.indices)
    return FilterResult(
        addresses=tuple(candidates[index] for index in indices),
        indices=indices,
        datacenter=answer.datacenter,
        reason=Reason(answer.reason),
        revision=answer.revision,
        generation=answer.generation,
        stale=answer.stale,
        for_instance=answer.for_instance,
        undecided=answer.undecided,
    )


def route(answer: pb.AppRoute) -> AppRoute:
    """Return a route as a value."""
    return AppRoute(
        app=answer.app,
        weights=tuple((entry.datacenter, entry.weight) for entry in answer.weights),
        backups=tuple(answer.backups),
        unavailable=tuple(answer.unavailable),
        min_workers=answer.min_workers,
        revision=answer.revision,
        generation=answer.generation,
        outages=tuple(map(outage, answer.outages)),
        workers=tuple((entry.datacenter, entry.count) for entry in answer.workers),
        workers_seen_at_ms=answer.workers_seen_at_ms,
        fewest_workers=tuple((entry.datacenter, entry.fewest) for entry in answer.workers),
        workers_runs=answer.workers_runs,
        dispatch_names=(answer.dispatch_app, *answer.dispatch_aliases) if answer.dispatch_app else (),
        job=answer.job,
    )


def route_update(answer: pb.RouteUpdate) -> RouteUpdate:
    """Return an update as a value."""
    return RouteUpdate(
        revision=answer.revision,
        generation=answer.generation,
        stale=answer.stale,
        default=route(answer.default_route),
        routes=tuple(map(route, answer.routes)),
        datacenters=tuple(datacenter.name for datacenter in answer.datacenters),
        job_routes=tuple(map(route, answer.job_routes)),
        outages=tuple(map(outage, answer.outages)),
        detailed=answer.detailed,
    )


def outage(answer: pb.AppRoute.Outage) -> Outage:
    """Return an outage as a value."""
    return Outage(
        answer.datacenter,
        answer.app,
        answer.reason,
        _OUTAGE_KINDS.get(answer.kind),
        answer.since_ms,
        answer.until_ms,
        answer.drill_reason,
        _fault(answer.fault) if answer.HasField("fault") else None,
    )


def _fault(answer: pb.Fault) -> Fault:
    return Fault(
        # A kind that a newer sidecar adds has its text, too.
        _FAULT_KINDS.get(answer.kind, FaultKind.OTHER),
        workers=answer.workers,
        needed=answer.needed,
        probes=tuple(ProbeFailure(failure.probe, failure.error) for failure in answer.probes),
        since_ns=answer.since_ms * _NS_PER_MS,
        text=answer.text,
    )


def status(answer: pb.SidecarStatus) -> Status:
    """Return a status as a value."""
    return Status(
        version=answer.version,
        source=answer.source,
        source_state=SourceState(answer.source_state),
        source_error=answer.source_error,
        revision=answer.revision,
        generation=answer.generation,
        applied_at_ms=answer.applied_at_ms,
        confirmed_at_ms=answer.confirmed_at_ms,
        from_snapshot=answer.from_snapshot,
        outages=tuple(map(outage, answer.outages)),
        gray=_gray(answer.gray) if answer.HasField("gray") else None,
        environment=answer.environment,
    )


def _gray(answer: pb.GrayVersion) -> GrayVersion:
    return GrayVersion(answer.rule, tuple(answer.clients), answer.since_ms)
