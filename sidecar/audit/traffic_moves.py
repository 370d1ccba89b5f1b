"""Where work goes by a State, and what another State moves: switches, failovers, returns, steps of ramps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.routing.model import OnEmpty, Ramp, Selector
from sidecar.routing.state import ResolvedRoute, State
from sidecar.yaml_reader import Checkpoint


@dataclass(frozen=True, slots=True)
class TrafficMove:
    """Work that goes elsewhere; `subjects` are applications, `app/job`, or "default".

    `kind` is "switch" where the document sends it elsewhere, "ramp-step" where the clock does, "failover" where it
    leaves a place that is out of service, and "return" where it is back.
    """

    kind: str
    subjects: tuple[str, ...]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Location:
    """Where the document sends the work of a route, and where that goes, as some places are out of service."""

    selector: Selector | None
    chosen: str
    actual: str


def moves(before: State, after: State, checkpoint: Checkpoint = lambda: None) -> list[TrafficMove]:
    """Return what goes elsewhere with another State, equal moves of many routes as one. `checkpoint` is called often.

    Datacenters count by whether they are in service: how many workers each has is known to the calls alone.
    """
    old, new = _Locations(before), _Locations(after)
    found: dict[tuple[str, str, str], list[str]] = {}
    for app, job in _subjects(before, after):
        checkpoint()
        was, now = old.of(app, job), new.of(app, job)
        if was.actual != now.actual:
            subject = f"{app}/{job}" if job else app or "default"
            found.setdefault((_kind(was, now), was.actual, now.actual), []).append(subject)
    return [TrafficMove(kind, tuple(subjects), *places) for (kind, *places), subjects in found.items()]


def _kind(was: _Location, now: _Location) -> str:
    if was.chosen == now.chosen:
        return "return" if now.actual == now.chosen else "failover"
    return "ramp-step" if isinstance(now.selector, Ramp) and now.selector == was.selector else "switch"


def _subjects(before: State, after: State) -> Iterator[tuple[str, str]]:
    yield "", ""
    old, new = before.document.apps, after.document.apps
    scoped = (name for state in (before, after) for drill in state.scoped_drills for name in drill.apps or ())
    left = [scope for state in (before, after) for scope in state.failed_over]
    for app in dict.fromkeys((*new, *old, *scoped, *(app for app, _ in left))):
        yield app, ""
        for job in dict.fromkeys(job for apps in (new, old) if app in apps for job in apps[app].jobs):
            yield app, job


class _Locations:
    """The places of one State; routes with the same plan are looked at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[int, tuple[ResolvedRoute, _Location]] = {}

    def of(self, app: str, job: str) -> _Location:
        resolved = self._state.resolve((app,), app, job)
        known = self._known.get(id(resolved))
        if known is None:
            # The plan is kept beside, so that its id stays its own.
            known = self._known[id(resolved)] = resolved, _place(resolved)
        return known[1]


def _place(resolved: ResolvedRoute) -> _Location:
    route = resolved.route
    if route.selector is None:
        return _Location(None, "anywhere", "anywhere")
    chosen = [(name, weight) for name, weight in resolved.weights if weight > 0]
    # What work has left after faults comes last, but is still in service.
    for gone in {**resolved.out, **resolved.failed_over}, resolved.out:
        live = [(name, weight) for name, weight in chosen if name not in gone]
        if live:
            return _Location(route.selector, _shares(chosen), _shares(live))
        backup = next((name for name in route.backups if name not in gone), None)
        if backup is not None:
            return _Location(route.selector, _shares(chosen), backup)
    return _Location(
        route.selector, _shares(chosen), "anywhere in service" if route.on_empty is OnEmpty.ANY else "nowhere"
    )


def _shares(weights: list[tuple[str, float]]) -> str:
    if len(weights) == 1:
        return weights[0][0]
    largest = max(weight for _, weight in weights)
    total = sum(weight / largest for _, weight in weights)
    return ", ".join(f"{name} {100 * (weight / largest) / total:.3g} %" for name, weight in weights)
