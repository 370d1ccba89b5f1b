"""The routing document as immutable values, inheritance already applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from sidecar.routing.networks import Cidr


class Sticky(Enum):
    """The unit that a split keeps together: all runs of a job, or each run (instance) by itself."""

    JOB = "job"
    INSTANCE = "instance"


class OnEmpty(Enum):
    """Which candidates to select when no datacenter of the route has workers."""

    REJECT = "reject"
    ANY = "any"


class ProbeKind(Enum):
    """The kind of a probe: a connection, an HTTP request, a call of gRPC's health service."""

    TCP = "tcp"
    HTTP = "http"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a datacenter; `target` as written, `host` and `port` as it names them."""

    kind: ProbeKind
    target: str
    host: str
    port: int
    expect: int = 200
    service: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.target}"


@dataclass(frozen=True, slots=True)
class Checks:
    """A datacenter's probes. One is down after `fall` failures in a row, and up again after `rise` successes.

    The datacenter is down while fewer than `must_pass` of them are up.
    """

    probes: tuple[Probe, ...]
    interval_ns: int
    timeout_ns: int
    fall: int
    rise: int
    must_pass: int


@dataclass(frozen=True, slots=True)
class Datacenter:
    """One entry of the `datacenters` block; `checks` is None if it is not probed."""

    name: str
    cidrs: tuple[Cidr, ...] = ()
    available: bool = True
    checks: Checks | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """The selector of a route that one datacenter serves."""

    datacenter: str


@dataclass(frozen=True, slots=True)
class Split:
    """The selector of a route whose jobs are split by weight; in the document's order, weights of 0 included."""

    weights: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Ramp:
    """The selector of a route that the clock moves from one datacenter to another; times in Unix nanoseconds."""

    source: str
    target: str
    start_ns: int
    duration_ns: int
    steps: int = 10


Selector = Active | Split | Ramp


class FailBack(Enum):
    """How work returns to a datacenter that it has left: by itself, or by an operator's command."""

    AUTO = "auto"
    MANUAL = "manual"


DEFAULT_OBSERVATIONS = 3
MAX_OBSERVATIONS = 100


@dataclass(frozen=True, slots=True)
class Failover:
    """How long a fault must last until work leaves a datacenter, and how long it must be over until work returns.

    Both must be shown by `observations` different requests. `failed_back_ns` is when an operator sent work back: what
    it had left before then, it has not left any more.
    """

    after_ns: int = 0
    back_after_ns: int = 0
    back: FailBack = FailBack.AUTO
    failed_back_ns: int | None = None
    observations: int = DEFAULT_OBSERVATIONS

    @property
    def keeps_away(self) -> bool:
        """Whether work stays away from a datacenter that is well again."""
        return self.back_after_ns > 0 or self.back is FailBack.MANUAL


@dataclass(frozen=True, slots=True)
class Route:
    """Where the jobs of an application, or one job, may run. Without a selector every candidate passes.

    Without a `failover` faults act at once, both ways.
    """

    selector: Selector | None = None
    backups: tuple[str, ...] = ()
    min_workers: int = 1
    on_empty: OnEmpty = OnEmpty.REJECT
    sticky: Sticky = Sticky.JOB
    failover: Failover | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every datacenter that may serve, the selector's first, some perhaps twice."""
        match self.selector:
            case Active(datacenter):
                return (datacenter, *self.backups)
            case Split(weights):
                return (*(name for name, _ in weights), *self.backups)
            case Ramp(source, target):
                return (source, target, *self.backups)
            case _:
                return self.backups


@dataclass(frozen=True, slots=True)
class Application:
    """The route of one application, and those of its jobs that have their own."""

    route: Route
    jobs: Mapping[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drill:
    """A time in which a datacenter counts as lost, for some applications or (`apps` is None) for all."""

    datacenter: str
    until_ns: int
    start_ns: int | None = None
    apps: frozenset[str] | None = None
    reason: str = ""

    def covers(self, names: tuple[str, ...]) -> bool:
        """Return whether it covers the application with these names."""
        return self.apps is None or not self.apps.isdisjoint(names)

    def active(self, now_ns: int) -> bool:
        """Return whether it is on: from its start, if it has one, up to, not including, its end."""
        return (self.start_ns is None or self.start_ns <= now_ns) and now_ns < self.until_ns


@dataclass(frozen=True, slots=True)
class WorkerRule:
    """A worker, or all that match: an address, a network (then `network` is it), or a pattern with a `*` at an end.

    Without `available` they are drained.
    """

    match: str
    available: bool = True
    reason: str = ""
    network: Cidr | None = None


@dataclass(frozen=True, slots=True)
class RoutingDocument:
    """A valid routing document; `revision` is the first 12 hex digits of SHA-256 over its bytes.

    `datacenters` is None where the document has no such block: then any name is valid. `meta` is free, for operators
    and the audit. `ramps` are all ramps in it, each once however many routes inherit it. `patient` is True if a route
    of a named application has a `failover` key. `unnamed` is the route of applications that the document does not name:
    the default one, without `failover`, since nothing is remembered of names that anybody can make up. `drills_by_app`
    has the positions of the drills that name an application.
    """

    revision: str
    default: Route = field(default_factory=Route)
    apps: Mapping[str, Application] = field(default_factory=dict)
    datacenters: Mapping[str, Datacenter] | None = None
    drills: tuple[Drill, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    workers: tuple[WorkerRule, ...] = ()
    ramps: frozenset[Ramp] = field(init=False)
    patient: bool = field(init=False)
    unnamed: Route = field(init=False, repr=False, compare=False)
    drills_by_app: Mapping[str, Sequence[int]] = field(init=False, repr=False, compare=False)
    _names: tuple[str, ...] | None = field(init=False, repr=False, compare=False, default=None)
    # The locator of the document (`location.locator_of`), made once.
    _locator: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        ramps = {self.default.selector}
        patient = False
        for application in self.apps.values():
            ramps.add(application.route.selector)
            patient = patient or application.route.failover is not None
            if application.jobs:
                ramps.update(route.selector for route in application.jobs.values())
                patient = patient or any(route.failover for route in application.jobs.values())
        object.__setattr__(self, "patient", patient)
        object.__setattr__(self, "ramps", frozenset(ramp for ramp in ramps if isinstance(ramp, Ramp)))
        unnamed = replace(self.default, failover=None) if self.default.failover else self.default
        object.__setattr__(self, "unnamed", unnamed)
        by_app: dict[str, list[int]] = {}
        for position, drill in enumerate(self.drills):
            for app in drill.apps or ():
                by_app.setdefault(app, []).append(position)
        object.__setattr__(self, "drills_by_app", by_app)

    def datacenter_names(self) -> tuple[str, ...]:
        """Return the datacenters of the document: its block's, else all that routes and then drills name, each once.

        Found at the first call and kept.
        """
        if self._names is None:
            object.__setattr__(self, "_names", tuple(self.datacenters or self._named()))
        assert self._names is not None
        return self._names

    def _named(self) -> Mapping[str, None]:
        routes = {id(self.default): self.default}
        for application in self.apps.values():
            routes |= {id(route): route for route in (application.route, *application.jobs.values())}
        names = dict.fromkeys(name for route in routes.values() for name in route.names)
        return names | dict.fromkeys(drill.datacenter for drill in self.drills)

    def route(self, app: str, job: str = "") -> Route:
        """Return the route of a job: its own, else its application's, else the one for `unnamed` applications."""
        application = self.apps.get(app)
        if application is None:
            return self.unnamed
        return application.jobs.get(job, application.route)

    def names_job(self, app: str, job: str) -> bool:
        """Return whether a job has a route of its own."""
        application = self.apps.get(app)
        return application is not None and job in application.jobs
