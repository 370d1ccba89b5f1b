"""The moves of work that another State makes: switches, failovers, returns, steps of ramps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.audit.event import EventKind
from sidecar.routing.model import Ramp, Selector
from sidecar.routing.shares import Shares, intended_shares, shares_of
from sidecar.routing.state import ResolvedRoute, State
from sidecar.yaml_reader import Checkpoint


@dataclass(frozen=True, slots=True)
class TrafficMove:
    """Work that goes elsewhere; `subjects` are applications, `app/job`, or "default".

    `kind` is SWITCH where the document sends it elsewhere, RAMP_STEP where the clock does, FAILOVER where it leaves a
    datacenter that is out of service, and RETURN where it is back.
    """

    kind: EventKind
    subjects: tuple[str, ...]
    before: Shares
    after: Shares


@dataclass(frozen=True, slots=True)
class _Location:
    """Where the document sends the work of a route, and where that goes, as some datacenters are out of service."""

    selector: Selector | None
    intended: Shares
    actual: Shares


def moves(before: State, after: State, checkpoint: Checkpoint = lambda: None) -> list[TrafficMove]:
    """Return the moves that another State makes, equal moves of many routes as one. `checkpoint` is called often.

    Datacenters count by whether they are in service: how many workers each has is known to the calls alone.
    """
    old, new = _Locations(before), _Locations(after)
    found: dict[tuple[EventKind, Shares, Shares], list[str]] = {}
    for app, job in _subjects(before, after):
        checkpoint()
        was, now = old.of(app, job), new.of(app, job)
        if was.actual != now.actual:
            subject = f"{app}/{job}" if job else app or "default"
            found.setdefault((_kind(was, now), was.actual, now.actual), []).append(subject)
    return [TrafficMove(kind, tuple(subjects), *places) for (kind, *places), subjects in found.items()]


def _kind(was: _Location, now: _Location) -> EventKind:
    if was.intended == now.intended:
        return EventKind.RETURN if now.actual == now.intended else EventKind.FAILOVER
    stepped = isinstance(now.selector, Ramp) and now.selector == was.selector
    return EventKind.RAMP_STEP if stepped else EventKind.SWITCH


def _subjects(before: State, after: State) -> Iterator[tuple[str, str]]:
    yield "", ""
    old, new = before.document.apps, after.document.apps
    drilled = (name for state in (before, after) for drill in state.scoped_drills for name in drill.apps or ())
    failed_over = (app for state in (before, after) for app, _ in state.failed_over)
    for app in dict.fromkeys((*new, *old, *drilled, *failed_over)):
        yield app, ""
        for job in dict.fromkeys(job for apps in (new, old) if app in apps for job in apps[app].jobs):
            yield app, job


class _Locations:
    """The locations under one State; routes that resolve alike are looked at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[int, tuple[ResolvedRoute, _Location]] = {}

    def of(self, app: str, job: str) -> _Location:
        resolved = self._state.resolve((app,), app, job)
        known = self._known.get(id(resolved))
        if known is None:
            # The route is kept beside it: its id must not be given to another object.
            known = self._known[id(resolved)] = resolved, _location(resolved)
        return known[1]


def _location(resolved: ResolvedRoute) -> _Location:
    intended = intended_shares(resolved.weights).rounded()
    return _Location(resolved.route.selector, intended, shares_of(resolved).rounded())
