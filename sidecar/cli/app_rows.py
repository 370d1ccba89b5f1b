"""A row for each application: where it runs and why, from the document, the sidecars' outages, and the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sidecar.audit.event import MOVES
from sidecar.audit.record import Record
from sidecar.editing.facts import LiveWorkers
from sidecar.routing.model import Drill, Ramp, RoutingDocument, Split
from sidecar.routing.outage import Outage, Outages
from sidecar.routing.schedule import ramp_step, step_time
from sidecar.routing.shares import Destination, Shares, shares_of
from sidecar.routing.state import ResolvedRoute, State
from sidecar.routing.wording import outage_text
from sidecar.routing.zone import show_time

# The audit's name for the applications without a route of their own.
_DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastMove:
    """When work of an application moved last (Unix nanoseconds), and the cause."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """The next change of an application by the clock, and its time (Unix nanoseconds)."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRow:
    """An application ("" for all those without a route of their own) as it stands now.

    `outages` are of datacenters that it prefers. `short` has the datacenters that serve with fewer live workers than
    the route needs. `since` and `workers` are None where nothing is known.
    """

    app: str
    resolved: ResolvedRoute
    shares: Shares
    jobs: int
    why: str
    outages: Outages
    next_step: NextStep | None
    since: LastMove | None = None
    workers: LiveWorkers | None = None
    short: tuple[str, ...] = ()

    @property
    def failing(self) -> bool:
        """Whether its work is not where it should be: displaced, nowhere, or with too few workers."""
        return bool(self.outages or self.short) or self.shares.destination is Destination.NOWHERE

    def serves(self, datacenter: str) -> bool:
        """Return whether a datacenter has a share of it."""
        return any(name == datacenter and share > 0 for name, share in self.shares.by_datacenter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Outages that sidecars found: those for all, and those that single applications failed over from."""

    unhealthy: Outages = field(default_factory=dict)
    failed_over: Mapping[str, Outages] = field(default_factory=dict)


def app_rows(document: RoutingDocument, now_ns: int, seen: Observed, moved: Mapping[str, LastMove]) -> Iterator[AppRow]:
    """Yield the rows of a document: of the rest (""), then of each application that it names."""
    state = State(document, 0, now_ns, unhealthy=seen.unhealthy)
    # Most applications share a few routes.
    known: dict[int, tuple[ResolvedRoute, Shares, str, Outages]] = {}
    for app in ("", *document.apps):
        resolved = state.resolve((app,), app, "")
        if seen.failed_over.get(app):
            resolved = replace(resolved, failed_over=seen.failed_over[app])
        standing = known.get(id(resolved))
        if standing is None:
            standing = known[id(resolved)] = resolved, *_standing(resolved, now_ns)
        _, shares, why, outages = standing
        yield AppRow(
            app=app,
            resolved=resolved,
            shares=shares,
            jobs=len(document.apps[app].jobs) if app else 0,
            why=why,
            outages=outages,
            next_step=_next_step(state, resolved, app),
            since=moved.get(app or _DEFAULT),
        )


def _standing(resolved: ResolvedRoute, now_ns: int) -> tuple[Shares, str, Outages]:
    preferred = {name for name, weight in resolved.weights if weight > 0}
    outages = {name: outage for name, outage in {**resolved.failed_over, **resolved.out}.items() if name in preferred}
    return shares_of(resolved), _why(resolved, outages, now_ns), outages


def with_workers(row: AppRow, workers: LiveWorkers | None) -> AppRow:
    """Return a row with the live workers of its application."""
    if workers is None:
        return row
    needed = max(1, row.resolved.route.min_workers)
    short = tuple(name for name, _ in row.shares.by_datacenter if workers.counts.get(name, 0) < needed)
    return replace(row, workers=workers, short=short)


def last_moves(records: Iterable[Record]) -> dict[str, LastMove]:
    """Return the last move of each application by records, newest first."""
    found: dict[str, LastMove] = {}
    for record in records:
        for event in record.events:
            if event.kind in MOVES:
                move = LastMove(at_ns=record.at_ns, text=f"{event.kind.value} {event.text}")
                for subject in event.subjects:
                    found.setdefault(subject.partition("/")[0], move)
    return found


def _why(resolved: ResolvedRoute, outages: Mapping[str, Outage], now_ns: int) -> str:
    selector = resolved.route.selector
    match selector:
        case None:
            word = "no route"
        case Ramp():
            word = f"ramp, step {ramp_step(selector, now_ns)} of {selector.steps}"
        case Split():
            word = "split"
        case _:
            word = "active"
    return "; ".join((word, *(f"{name} out: {outage_text(outage)}" for name, outage in outages.items())))


def _next_step(state: State, resolved: ResolvedRoute, app: str) -> NextStep | None:
    steps: list[NextStep] = []
    ramp = resolved.route.selector
    if isinstance(ramp, Ramp):
        taken = ramp_step(ramp, state.now_ns)
        if taken < ramp.steps:
            at_ns = step_time(ramp, taken + 1)
            steps.append(NextStep(at_ns=at_ns, text=f"ramp to {ramp.target}, step {taken + 1} of {ramp.steps}"))
    concerned = {name for name, _ in resolved.weights} | {*resolved.route.backups}
    steps += [step for drill in state.document.drills for step in _of_drill(drill, state.now_ns, app, concerned)]
    return min(steps, key=lambda step: step.at_ns, default=None)


def _of_drill(drill: Drill, now_ns: int, app: str, concerned: set[str]) -> Iterator[NextStep]:
    if drill.datacenter not in concerned or (drill.apps is not None and app not in drill.apps):
        return
    if drill.start_ns is not None and now_ns < drill.start_ns:
        yield NextStep(at_ns=drill.start_ns, text=f"drill of {drill.datacenter} starts")
    elif now_ns < drill.until_ns:
        yield NextStep(at_ns=drill.until_ns, text=f"drill of {drill.datacenter} ends")


def next_text(row: AppRow) -> str:
    """Return the next step by the clock and its time; "" for none."""
    return f"{row.next_step.text} at {show_time(row.next_step.at_ns)}" if row.next_step else ""


def workers_text(workers: LiveWorkers | None, order: Sequence[str]) -> str:
    """Return how many live workers each datacenter has, those of `order` first; "" where that is not known."""
    if workers is None:
        return ""
    names = [*dict.fromkeys((*(name for name in order if name in workers.counts), *workers.counts))]
    return ", ".join(f"{name or '(unknown)'} {workers.counts[name]:,}" for name in names) or "none"
