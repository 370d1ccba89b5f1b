"""What a change of State means for people: which routes went where, and which datacenters came and went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.routing.model import Active, FailBack, Failover, Ramp, Route
from sidecar.routing.scalars import format_duration, format_time
from sidecar.routing.schedule import weights_at
from sidecar.routing.state import State
from sidecar.yaml_reader import Checkpoint

_NAMED = 3


@dataclass(frozen=True, slots=True)
class RouteChange:
    """One change of one or more routes: `subjects` are applications, `app/job`, or "default"; the rest is words.

    `before` is empty where there was no document.
    """

    subjects: tuple[str, ...]
    before: str
    after: str

    def __str__(self) -> str:
        named = ", ".join(self.subjects[:_NAMED])
        more = len(self.subjects) - _NAMED
        change = f"{self.before} → {self.after}" if self.before else self.after
        return f"{named}{f' and {more:,} more' if more > 0 else ''}: {change}"


def serving_words(route: Route, now_ns: int) -> str:
    """Return where the jobs of a route go at a time: `dc1`, `dc1 90 %, dc2 10 %`, or `anywhere` without a selector."""
    if route.selector is None:
        return "anywhere"
    weights = weights_at(route.selector, now_ns)
    if isinstance(route.selector, Active):
        return route.selector.datacenter
    largest = max(weight for _, weight in weights)
    total = sum(weight / largest for _, weight in weights)
    return ", ".join(f"{name} {100 * (weight / largest) / total:.3g} %" for name, weight in weights if weight > 0)


def changes(before: State | None, after: State, checkpoint: Checkpoint = lambda: None) -> list[RouteChange]:
    """Return what a new State changes: routes first, then datacenters; equal changes of many routes as one.

    Empty where nothing that decides has changed, as after an edit of a comment. Without a `before` all routes are new.
    `checkpoint` is called often.
    """
    found: dict[tuple[str, str], list[str]] = {}
    if before is None or before.document is not after.document or before.now_ns != after.now_ns:
        for subject, old, new in _routes(before, after):
            checkpoint()
            words = _difference(old, before.now_ns if before else 0, new, after.now_ns)
            if words is not None:
                found.setdefault(words, []).append(subject)
    result = [RouteChange(tuple(subjects), *words) for words, subjects in found.items()]
    return result + _services(before, after) + _failovers(before, after)


def _failovers(before: State | None, after: State) -> list[RouteChange]:
    was = before.failed_over if before else {}
    found: dict[tuple[str, str], list[str]] = {}
    for scope in dict.fromkeys((*was, *after.failed_over)):
        subject = "/".join(filter(None, scope))
        for name in dict.fromkeys((*was.get(scope, ()), *after.failed_over.get(scope, ()))):
            old, new = (side.get(scope, {}).get(name, "") for side in (was, after.failed_over))
            if old != new:
                words = f"{name} preferred again" if not new else f"{name} {new}"
                found.setdefault((f"{name} {old}" if old else f"{name} preferred", words), []).append(subject)
    return [RouteChange(tuple(subjects), *words) for words, subjects in found.items()]


def _routes(before: State | None, after: State) -> Iterator[tuple[str, Route | None, Route]]:
    """Yield every route by its subject, as it was and as it is."""
    new = after.document
    old = before.document if before else None
    yield "default", old.default if old else None, new.default
    apps = dict.fromkeys((*new.apps, *(old.apps if old else ())))
    for app in apps:
        yield app, old.route(app) if old else None, new.route(app)
        jobs = dict.fromkeys((*_jobs(after, app), *(_jobs(before, app) if before else ())))
        for job in jobs:
            yield f"{app}/{job}", old.route(app, job) if old else None, new.route(app, job)


def _jobs(state: State, app: str) -> tuple[str, ...]:
    application = state.document.apps.get(app)
    return tuple(application.jobs) if application else ()


def _difference(old: Route | None, old_ns: int, new: Route, new_ns: int) -> tuple[str, str] | None:
    """Return the first thing that differs between two routes, before and after, in words."""
    if old is None:
        return "", _full_words(new, new_ns)
    if old == new and not isinstance(new.selector, Ramp):
        return None
    serving = serving_words(old, old_ns), serving_words(new, new_ns)
    if serving[0] != serving[1]:
        return serving
    return next(((was, now) for was, now in zip(_other_words(old), _other_words(new), strict=True) if was != now), None)


def _full_words(route: Route, now_ns: int) -> str:
    served = dict(weights_at(route.selector, now_ns)) if route.selector else {}
    backups = ", ".join(name for name in route.backups if not served.get(name))
    return serving_words(route, now_ns) + (f", then {backups}" if backups else "")


def _other_words(route: Route) -> tuple[str, ...]:
    ramp = ""
    if isinstance(route.selector, Ramp):
        ramp = (
            f"ramp to {route.selector.target} from {format_time(route.selector.start_ns)} "
            f"over {format_duration(route.selector.duration_ns)} in {route.selector.steps} steps"
        )
    return (
        ramp or "no ramp",
        f"then {', '.join(route.backups) or 'nobody'}",
        f"min_workers {route.min_workers}",
        f"on_empty {route.on_empty.value}",
        f"sticky {route.sticky.value}",
        failover_words(route.failover),
    )


def failover_words(failover: Failover | None) -> str:
    """Return how a route fails over and returns, in words."""
    if failover is None:
        return "failover at once"
    leaves = f"after {format_duration(failover.after_ns)}" if failover.after_ns else "at once"
    returns = f"after {format_duration(failover.back_after_ns)}" if failover.back_after_ns else "at once"
    if failover.back is FailBack.MANUAL:
        returns = "by hand"
    sent = f", sent back at {format_time(failover.failed_back_ns)}" if failover.failed_back_ns is not None else ""
    return f"failover {leaves}, back {returns}{sent}"


def _services(before: State | None, after: State) -> list[RouteChange]:
    was = _outages(before) if before else {}
    now = _outages(after)
    return [
        RouteChange((name,), was.get(name, "in service"), now.get(name, "in service"))
        for name in dict.fromkeys((*was, *now))
        if was.get(name) != now.get(name)
    ]


def _outages(state: State) -> dict[str, str]:
    """Return the datacenters that are out of service, for whom and why."""
    outages = {name: f"out of service ({why})" for name, why in state.out.items()}
    for drill in state.scoped_drills:
        if drill.datacenter not in outages:
            apps = sorted(drill.apps or ())
            more = f" and {len(apps) - _NAMED:,} more" if len(apps) > _NAMED else ""
            outages[drill.datacenter] = f"out of service for {', '.join(apps[:_NAMED])}{more} (drill)"
    return outages
