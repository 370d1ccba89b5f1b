"""The status of the sidecar as JSON: source, document, datacenters, drills, refusal, alerts."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from typing import Any

from sidecar import __version__
from sidecar.counters import ProcessCounts, TaskStatus
from sidecar.lifecycle import RejectedDocument, SourceStatus
from sidecar.routing.outage import OutageKind
from sidecar.routing.plain import outage_plain, time_plain
from sidecar.routing.state import State
from sidecar.routing.wording import outage_text
from sidecar.view import View
from sidecar.web.alerts import alerts, failing, rescheduling
from sidecar.wording import health_text, source_text, view_text

Json = dict[str, Any]

CAUSES = {OutageKind.MARKED: "mark", OutageKind.DRILL: "drill", OutageKind.UNHEALTHY: "health"}
"""What takes a datacenter out of service for all applications, as `cause` of the API and the metrics names it."""

# Lines of a refused text that are shown before and after each problem, problems that are shown, and how much of a line.
_AROUND = 3
_PROBLEMS = 20
_WIDTH = 400


def status_json(
    view: View, source: str, processes: ProcessCounts, *, stopping: bool, tasks: Iterable[TaskStatus] = ()
) -> Json:
    """Return the status. It holds no text of a document but lines of a refused one."""
    state, status = view.state, view.status
    failing_ = failing(view, processes, stopping=stopping)
    return {
        "version": __version__,
        "python": platform.python_version(),
        "ready": not failing_,
        "failing": failing_,
        "error": view_text(view),
        "alerts": [alert.plain() for alert in (*alerts(view, processes, stopping=stopping), *rescheduling(tasks))],
        "source": {
            "url": source,
            "state": status.state.name,
            "error": source_text(status),
            "since": time_plain(status.since_ns),
            "version": status.version,
            "confirmed_at": time_plain(status.confirmed_at_ns),
            "gray": _gray(status),
        },
        "override": view.override.url if view.override and view.overridden else None,
        "health": health_text(view.health) if view.health else "",
        "from_snapshot": status.from_snapshot,
        "stale": bool(state and state.stale),
        "refusal": refusal_json(status.refusal) if status.refusal else None,
        "applied_at": time_plain(view.applied_at_ns),
        "bytes": len(view.text),
        **(_document(state) if state else {"revision": None, "generation": 0, "datacenters": [], "drills": []}),
    }


def _gray(status: SourceStatus) -> Json | None:
    if status.gray is None:
        return None
    clients = [*status.gray.clients]
    return {"rule": status.gray.rule, "clients": clients, "since": time_plain(status.gray_since_ns)}


def _document(state: State) -> Json:
    document = state.document
    return {
        "revision": document.revision,
        "generation": state.generation,
        "apps": len(document.apps),
        "meta": {key: value for key, value in document.meta.items() if isinstance(value, str)},
        "next_change": time_plain(state.until_ns),
        "datacenters": [datacenter_json(state, name) for name in document.datacenter_names()],
        "drills": [
            {
                "datacenter": drill.datacenter,
                "start": time_plain(drill.start_ns),
                "until": time_plain(drill.until_ns),
                "apps": sorted(drill.apps) if drill.apps is not None else None,
                "reason": drill.reason,
                "active": drill.active(state.now_ns),
            }
            for drill in document.drills
            if state.now_ns < drill.until_ns
        ],
    }


def datacenter_json(state: State, name: str) -> Json:
    """Return a datacenter as it is for all applications; one in service may have a drill for some as its cause."""
    outage = state.out.get(name)
    until = [d.until_ns for d in state.document.drills if d.datacenter == name and d.active(state.now_ns)]
    partly = any(drill.datacenter == name for drill in state.scoped_drills)
    cause = CAUSES[outage.kind] if outage else "drill" if partly else ""
    return {
        "name": name,
        "in_service": outage is None,
        "cause": cause,
        "why": outage_text(outage) if outage else "",
        "outage": outage_plain(outage) if outage else None,
        "until": time_plain(max(until)) if until and cause == "drill" else None,
    }


def refusal_json(refusal: RejectedDocument) -> Json:
    """Return the problems of a refused text, with the lines of the text around each."""
    lines = refusal.text.decode(errors="replace").splitlines()
    return {
        "revision": refusal.revision,
        "at": time_plain(refusal.at_ns),
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
