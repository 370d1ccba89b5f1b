"""The operations on a document: each takes plain values and returns new ones; its arguments are not modified."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any

from sidecar.editing.paused_ramps import forget, note, noted
from sidecar.editing.tree import Top, full, insert, mapping_in, prune
from sidecar.editing.yaml_writer import BareKey
from sidecar.errors import ChangeRefused
from sidecar.routing.model import Drill, Ramp, Route, RoutingDocument, Split
from sidecar.routing.scalars import format_duration, format_time
from sidecar.routing.schedule import ramp_step
from sidecar.yaml_reader import Tree

_SELECTORS = ("active", "split", "ramp")


def switch(tree: Tree, to: str, apps: Sequence[str] = (), *, default: bool = False, everything: bool = False) -> Tree:
    """Send all jobs of some applications, of the default route, or of every route with a selector to a datacenter.

    Jobs with a route of their own keep it. A bare word stays one where only the default route changes.
    """
    if isinstance(tree, str) and not apps:
        return to
    top = full(tree)
    routes: list[str | None] = [*apps]
    if default or everything:
        routes.append(None)
    if everything:
        routes += [app for app, route in mapping_in(top, "apps").items() if _has_selector(route)]
    for app in routes:
        _select(top, app, "active", to)
    return top


def shift(tree: Tree, app: str | None, weights: Mapping[str, str]) -> Tree:
    """Split the jobs of an application (None: of the default route) by weight; weights are numbers as texts."""
    top = full(tree)
    old = _own(top, app, "split")
    order = dict.fromkeys((*(old if isinstance(old, dict) else ()), *weights))
    _select(top, app, "split", {name: BareKey(weights[name]) for name in order if name in weights})
    return top


def start_ramp(tree: Tree, app: str | None, *, source: str, target: str, start: str, duration: str, steps: int) -> Tree:
    """Move an application (None: the default route) from one datacenter to another by the clock."""
    top = full(tree)
    entry: dict[str, Tree] = {"from": source, "to": target, "start": start, "duration": duration}
    _select(top, app, "ramp", {**entry, "steps": BareKey(steps)})
    return top


def pause_ramp(tree: Tree, document: RoutingDocument, app: str | None, now_ns: int) -> Tree:
    """Stop a ramp where it is: a split with its current weights, and the ramp itself noted in `meta`."""
    ramp = ramp_of(document, app)
    if ramp is None:
        raise ChangeRefused(f"{subject_name(app)} has no ramp: start one with --to and --over")
    taken = ramp_step(ramp, now_ns)
    if taken == ramp.steps:
        raise ChangeRefused(
            f"the ramp of {subject_name(app)} has ended already: replace it by {ramp.target} with --finish"
        )
    top = full(tree)
    entry = _own(top, app, "ramp") or _own(top, None, "ramp")
    assert isinstance(entry, dict)
    weights: dict[str, Tree] = {ramp.source: BareKey(ramp.steps - taken), ramp.target: BareKey(taken)}
    _select(top, app, "split", weights)
    duration = entry["duration"]
    note(top, app, {"from": ramp.source, "to": ramp.target, "duration": duration, "steps": BareKey(ramp.steps)})
    return top


def resume_ramp(tree: Tree, document: RoutingDocument, app: str | None, now_ns: int) -> Tree:
    """Continue a paused ramp from its current weights; the next step comes after the duration of a whole step."""
    top = full(tree)
    paused = noted(top, app)
    if paused is None:
        raise ChangeRefused(
            f"{subject_name(app)} has no paused ramp (`meta.paused` has none): start a new one with --to and --over"
        )
    selector = route_of(document, app).selector
    weights = dict(selector.weights) if isinstance(selector, Split) else {}
    taken = weights.get(paused.target)
    if taken is None or weights != {paused.source: float(paused.steps - taken), paused.target: taken} or taken % 1:
        raise ChangeRefused(
            f"the split of {subject_name(app)} was changed since the ramp was paused: start a new ramp with --to and "
            "--over"
        )
    # Rounded up to the millisecond, the resolution of a document's times: never a step too few.
    elapsed_ms = -(-paused.duration_ns * int(taken) // (paused.steps * 1_000_000))
    start = format_time(now_ns // 1_000_000 * 1_000_000 - elapsed_ms * 1_000_000)
    return start_ramp(
        top,
        app,
        source=paused.source,
        target=paused.target,
        start=start,
        duration=paused.duration,
        steps=paused.steps,
    )


def end_ramp(tree: Tree, document: RoutingDocument, app: str | None, *, finish: bool) -> Tree:
    """End a ramp, running or paused: with all jobs in its target (`finish`), or with all back in its source."""
    ramp = ramp_of(document, app)
    paused = noted(full(tree), app)
    if ramp is not None:
        to = ramp.target if finish else ramp.source
    elif paused is not None:
        to = paused.target if finish else paused.source
    else:
        raise ChangeRefused(f"{subject_name(app)} has no ramp, running or paused: move its jobs with `switch`")
    top = full(tree)
    _select(top, app, "active", to)
    return top


def pin(tree: Tree, app: str, job: str, to: str) -> Tree:
    """Send one job of an application to a datacenter, wherever the application goes."""
    top = full(tree)
    entry = _application(top, app)
    jobs = mapping_in(entry, "jobs", make=True)
    route = jobs.get(job)
    jobs[job] = _selected(route, "active", to) if isinstance(route, dict) else to
    return top


def unpin(tree: Tree, app: str, job: str) -> Tree:
    """Remove a job's own route: it follows its application again."""
    top = full(tree)
    apps = mapping_in(top, "apps")
    entry = apps.get(app)
    jobs = mapping_in(entry, "jobs") if isinstance(entry, dict) else {}
    if job not in jobs:
        raise ChangeRefused(f"job {job} of {app} has no route of its own: check application and job id")
    del jobs[job]
    prune(top, "apps", app, "jobs")
    return top


def start_drill(
    tree: Tree, datacenter: str, *, start: str, until: str, apps: Sequence[str] = (), reason: str = ""
) -> Tree:
    """Treat a datacenter as lost from `start` up to `until`, for some applications or (none named) for all."""
    top = full(tree)
    drill: dict[str, Tree] = {"datacenter": datacenter, "start": start, "until": until}
    if apps:
        drill["apps"] = [*apps]
    if reason:
        drill["reason"] = reason
    drills = top.get("drills")
    insert(top, "drills", [*drills, drill] if isinstance(drills, list) else [drill])
    return top


def drain(tree: Tree, document: RoutingDocument, match: str, *, undo: bool, reason: str = "") -> Tree:
    """Drain the workers that match, or (`undo`) take their entry out of the document."""
    top = full(tree)
    rules = top.get("workers")
    rules = [*rules] if isinstance(rules, list) else []
    index = next((index for index, rule in enumerate(document.workers) if rule.match == match), None)
    if undo:
        if index is None:
            drained = ", ".join(rule.match for rule in document.workers) or "none"
            raise ChangeRefused(f"found no entry {match} in `workers`, expected one of: {drained}")
        del rules[index]
    else:
        entry: dict[str, Tree] = {"match": match, "available": BareKey("false")}
        if reason:
            entry["reason"] = reason
        if index is None:
            rules.append(entry)
        else:
            rules[index] = entry
    if rules:
        insert(top, "workers", rules)
    else:
        top.pop("workers", None)
    return top


def stop_drills(tree: Tree, drills: Collection[int]) -> Tree:
    """Remove drills from the document by their positions, counted from 0."""
    top = full(tree)
    found = top.get("drills")
    left = [drill for index, drill in enumerate(found if isinstance(found, list) else []) if index not in drills]
    if left:
        top["drills"] = left
    else:
        top.pop("drills", None)
    return top


def mark(tree: Tree, document: RoutingDocument, datacenter: str, *, available: bool) -> Tree:
    """Mark a datacenter out of service, or in service again.

    A document without a `datacenters` block gets one with every name in use, as such a block must be complete.
    """
    top = full(tree)
    block = top.get("datacenters")
    names = document.datacenter_names()
    if datacenter not in names:
        raise ChangeRefused(
            f"the document has no datacenter {datacenter}, it has {', '.join(names) or 'none'}: check the name"
        )
    if not isinstance(block, dict):
        block = {name: {} for name in names}
        insert(top, "datacenters", block)
    entry = block[datacenter]
    assert isinstance(entry, dict)
    if available:
        entry.pop("available", None)
    else:
        entry["available"] = BareKey("false")
    return top


def fail_back(tree: Tree, document: RoutingDocument, apps: Sequence[str | None], now_ns: int) -> Tree:
    """Send the work of applications (None: those under the default route) back to where it failed over from until now.

    Raises ChangeRefused for a route without `failover`, whose work returns by itself.
    """
    top = full(tree)
    for app in apps:
        rule = route_of(document, app).failover
        if rule is None:
            raise ChangeRefused(
                f"{subject_name(app)} has no `failover` key: its work returns by itself, without `failback`"
            )
        own = _own(top, app, "failover")
        entry: dict[str, Tree] = dict(own) if isinstance(own, dict) else {}
        if not isinstance(own, dict):
            entry |= {"after": format_duration(rule.after_ns)} if rule.after_ns else {}
            entry |= {"back_after": format_duration(rule.back_after_ns)} if rule.back_after_ns else {}
            entry["back"] = rule.back.value
        entry["failed_back"] = format_time(now_ns)
        route: dict[str, Tree] = mapping_in(top, "default", make=True) if app is None else _application(top, app)
        route["failover"] = entry
    return top


def route_of(document: RoutingDocument, app: str | None) -> Route:
    """Return the route of an application, None being the default one."""
    return document.default if app is None else document.route(app)


def ramp_of(document: RoutingDocument, app: str | None) -> Ramp | None:
    """Return the ramp of an application's route, its own or the default one's, or None."""
    selector = route_of(document, app).selector
    return selector if isinstance(selector, Ramp) else None


def subject_name(app: str | None) -> str:
    """Return the name of an application (None: of the default route) in messages."""
    return "the default route" if app is None else app


def running(drills: Sequence[Drill], now_ns: int) -> list[int]:
    """Return the positions of the drills that have not ended."""
    return [index for index, drill in enumerate(drills) if now_ns < drill.until_ns]


def _select(top: Top, app: str | None, selector: str, value: Tree) -> None:
    """Replace the selector of a route, in its place."""
    forget(top, app)
    routes: dict[str, Any] = top if app is None else mapping_in(top, "apps", make=True)
    key = "default" if app is None else app
    route = routes.get(key)
    if isinstance(route, dict):
        routes[key] = _selected(route, selector, value)
    elif app is None and key not in routes:
        insert(top, key, value if selector == "active" else {selector: value})
    else:
        routes[key] = value if selector == "active" else {selector: value}


def _selected(route: dict[str, Tree], selector: str, value: Tree) -> dict[str, Tree]:
    if not any(key in route for key in _SELECTORS):
        return {selector: value, **route}
    return {selector if key in _SELECTORS else key: value if key in _SELECTORS else old for key, old in route.items()}


def _application(top: Top, app: str) -> dict[str, Tree]:
    """Return the entry of an application, turned into a mapping where it is a bare name or missing."""
    apps = mapping_in(top, "apps", make=True)
    entry = apps.get(app)
    if not isinstance(entry, dict):
        entry = apps[app] = {"active": deepcopy(entry)} if isinstance(entry, str) else {}
    return entry


def _own(top: Top, app: str | None, key: str) -> Tree:
    """Return the value of a key in an application's own entry."""
    entry = top.get("default") if app is None else mapping_in(top, "apps").get(app)
    return entry.get(key) if isinstance(entry, dict) else None


def _has_selector(route: Tree) -> bool:
    return isinstance(route, str) or (isinstance(route, dict) and any(key in route for key in _SELECTORS))
