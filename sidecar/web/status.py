"""How the sidecar stands, as JSON: source, document, datacenters, drills, refusal, what keeps it from being ready."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar import __version__
from sidecar.counters import ProcessCounts
from sidecar.lifecycle import RejectedDocument
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State
from sidecar.table import View

Json = dict[str, Any]

# Lines of a refused text that are shown before and after each problem, problems that are shown, and how much of a line.
_AROUND = 3
_PROBLEMS = 20
_WIDTH = 400


def failing(view: View, processes: ProcessCounts, *, stopping: bool) -> dict[str, str]:
    """Return what keeps the sidecar from being ready, and why; empty where it is."""
    found = {}
    if stopping:
        found["process"] = "the sidecar is going down"
    elif not processes.serving:
        found["workers"] = f"none of {processes.wanted} processes takes calls"
    if view.state is None:
        found["document"] = f"there is none yet; the source is {view.status.state.name}: {view.status.error}"
    elif view.overdue:
        found["source"] = f"out of reach for longer than --max-stale: {view.status.error}"
    return found


def moment(nanoseconds: int | None) -> str | None:
    """Return a time as RFC 3339, None for never; of the milliseconds, as nobody reads more."""
    return format_time(nanoseconds // 1_000_000 * 1_000_000) if nanoseconds else None


def status_json(view: View, source: str, why_not: Mapping[str, str]) -> Json:
    """Return all that the status page tells above the routes; `why_not` is what keeps it from being ready.

    Never holds a text of the document but a refused part.
    """
    state, status = view.state, view.status
    return {
        "version": __version__,
        "python": platform.python_version(),
        "ready": not why_not,
        "failing": why_not,
        "error": view.error,
        "source": {
            "url": source,
            "state": status.state.name,
            "error": status.error,
            "since": moment(status.since_ns),
            "version": status.version,
            "confirmed_at": moment(status.confirmed_at_ns),
        },
        "override": view.override.url if view.override and view.overridden else None,
        "health": view.health,
        "from_snapshot": status.from_snapshot,
        "stale": bool(state and state.stale),
        "refusal": refusal_json(status.refusal) if status.refusal else None,
        "applied_at": moment(view.applied_at_ns),
        "bytes": len(view.text),
        **(_document(state) if state else {"revision": None, "generation": 0, "datacenters": [], "drills": []}),
    }


def _document(state: State) -> Json:
    document = state.document
    return {
        "revision": document.revision,
        "generation": state.generation,
        "apps": len(document.apps),
        "meta": {key: value for key, value in document.meta.items() if isinstance(value, str)},
        "next_change": moment(state.until_ns),
        "datacenters": [datacenter_json(state, name) for name in datacenters(state)],
        "drills": [
            {
                "datacenter": drill.datacenter,
                "start": moment(drill.start_ns),
                "until": moment(drill.until_ns),
                "apps": sorted(drill.apps) if drill.apps is not None else None,
                "reason": drill.reason,
                "active": drill.active(state.now_ns),
            }
            for drill in document.drills
            if state.now_ns < drill.until_ns
        ],
    }


def datacenters(state: State) -> tuple[str, ...]:
    """Return the datacenters of a document: its block's, or without one all that its routes and drills name."""
    document = state.document
    if document.datacenters is not None:
        return tuple(document.datacenters)
    routes = {id(app.route): app.route for app in document.apps.values()}
    names = dict.fromkeys(document.default.names)
    for route in routes.values():
        names.update(dict.fromkeys(route.names))
    return (*names, *(drill.datacenter for drill in document.drills if drill.datacenter not in names))


def datacenter_json(state: State, name: str) -> Json:
    """Return how a datacenter stands for all applications; drills for some of them count as `partly`."""
    why = state.out.get(name, "")
    until = [d.until_ns for d in state.document.drills if d.datacenter == name and d.active(state.now_ns)]
    partly = any(drill.datacenter == name for drill in state.scoped_drills)
    cause = cause_of(why) if why else "drill" if partly else ""
    return {
        "name": name,
        "in_service": not why,
        "cause": cause,
        "why": why,
        "until": moment(max(until)) if until and cause == "drill" else None,
    }


def cause_of(why: str) -> str:
    """Return `mark`, `drill` or `health`: what the words of a State on a datacenter out of service stand for."""
    if why == "marked":
        return "mark"
    return "drill" if why == "drill" or why.startswith("drill: ") else "health"


def refusal_json(refusal: RejectedDocument) -> Json:
    """Return why a text was refused, with the lines of the text around each problem."""
    lines = refusal.text.decode(errors="replace").splitlines()
    return {
        "revision": refusal.revision,
        "at": moment(refusal.at_ns),
        "total": len(refusal.error.problems),
        "problems": [
            {
                "path": problem.path,
                "message": problem.message,
                "line": problem.line,
                "column": problem.column,
                "excerpt": list(_excerpt(lines, problem.line)),
            }
            for problem in refusal.error.problems[:_PROBLEMS]
        ],
    }


def _excerpt(lines: list[str], line: int | None) -> Iterator[Json]:
    if line is not None:
        for number in range(max(1, line - _AROUND), min(len(lines), line + _AROUND) + 1):
            yield {"number": number, "text": lines[number - 1][:_WIDTH], "marked": number == line}
