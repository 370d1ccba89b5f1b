"""The status of the sidecar as JSON: source, document, datacenters, drills, refusal, alerts."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sidecar import __version__
from sidecar.counters import ProcessCounts, TaskStatus
from sidecar.gil import Yielder
from sidecar.lifecycle import RejectedDocument, SourceStatus
from sidecar.routing.outage import OutageKind
from sidecar.routing.plain import outage_plain, time_plain
from sidecar.routing.state import State
from sidecar.routing.wording import outage_text
from sidecar.view import View
from sidecar.web.alerts import alerts, failing, rescheduling
from sidecar.wording import health_text, source_text, view_text

if TYPE_CHECKING:
    from sidecar.followers.registry import Follower

Json = dict[str, Any]
Checkpoint = Callable[[], None]
T = TypeVar("T")

CAUSES = {OutageKind.MARKED: "mark", OutageKind.DRILL: "drill", OutageKind.UNHEALTHY: "health"}
"""The causes that take a datacenter out of service for all applications, as the API's `cause` and metrics name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which sidecar this is: its source's URL without credentials, its environment, its host name, its documentation.

    `environment` and `docs`, the URL of the documentation, are empty where none is configured.
    """

    source: str
    environment: str
    host: str
    docs: str = ""


# Lines of a refused text that are shown before and after each problem, problems that are shown, and how much of a line.
_AROUND = 3
_PROBLEMS = 20
_WIDTH = 400
# Followers that are shown.
_FOLLOWERS = 200


def status_json(
    view: View,
    identity: Identity,
    processes: ProcessCounts,
    *,
    stopping: bool,
    tasks: Iterable[TaskStatus] = (),
    followers: Iterable[Follower] = (),
    document: Json | None = None,
) -> Json:
    """Return the status. It holds no text of a document but lines of a refused one.

    `document` is the part that follows from the view's State alone, computed where it is not given.
    """
    state, status = view.state, view.status
    failing_ = failing(view, processes, stopping=stopping)
    return {
        "version": __version__,
        "host": identity.host,
        "environment": identity.environment,
        "docs": identity.docs,
        "python": platform.python_version(),
        "ready": not failing_,
        "failing": failing_,
        "error": view_text(view),
        "alerts": [alert.plain() for alert in (*alerts(view, processes, stopping=stopping), *rescheduling(tasks))],
        "source": {
            "url": identity.source,
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
        "followers": followers_json(followers),
        **(document_json(state) if document is None else document),
    }


def followers_json(followers: Iterable[Follower]) -> list[Json]:
    """Return who follows the shares, those seen last."""
    return [
        {
            "kind": each.kind.value,
            "peer": each.peer,
            "subject": each.subject,
            "answer": each.answer,
            "seen_at": time_plain(each.seen_at_ns),
        }
        for each in islice(followers, _FOLLOWERS)
    ]


def _gray(status: SourceStatus) -> Json | None:
    if status.gray is None:
        return None
    clients = [*status.gray.clients]
    return {"rule": status.gray.rule, "clients": clients, "since": time_plain(status.gray_since_ns)}


class EncodedDocuments:
    """Keeps the part of the status that follows from the newest State that was asked for, its lists encoded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State | None = None
        self._document: Json = {}

    def of(self, state: State | None) -> Json:
        """Return `document_json`; a caller that comes while another computes waits for the same. Not for the loop."""
        with self._lock:
            if not self._document or self._state is not state:
                found = document_json(state, Yielder())
                lists = {name: msgspec.Raw(msgspec.json.encode(found[name])) for name in ("datacenters", "drills")}
                self._document = {**found, **lists}
                self._state = state
            return self._document


def document_json(state: State | None, checkpoint: Checkpoint = lambda: None) -> Json:
    """Return the part of the status that follows from a State alone; `checkpoint` is called often."""
    if state is None:
        return {"revision": None, "generation": 0, "datacenters": [], "drills": []}
    document = state.document
    until: dict[str, int] = {}
    for drill in _paced(document.drills, checkpoint):
        if drill.active(state.now_ns):
            until[drill.datacenter] = max(drill.until_ns, until.get(drill.datacenter, 0))
    partly = {drill.datacenter for drill in state.scoped_drills}
    return {
        "revision": document.revision,
        "generation": state.generation,
        "apps": len(document.apps),
        "meta": {key: value for key, value in document.meta.items() if isinstance(value, str)},
        "next_change": time_plain(state.until_ns),
        "datacenters": [
            _datacenter(state, name, until, partly) for name in _paced(document.datacenter_names(), checkpoint)
        ],
        "drills": [
            {
                "datacenter": drill.datacenter,
                "start": time_plain(drill.start_ns),
                "until": time_plain(drill.until_ns),
                "apps": sorted(drill.apps) if drill.apps is not None else None,
                "reason": drill.reason,
                "active": drill.active(state.now_ns),
            }
            for drill in _paced(document.drills, checkpoint)
            if state.now_ns < drill.until_ns
        ],
    }


def _paced(items: Iterable[T], checkpoint: Checkpoint) -> Iterator[T]:
    """Yield items, calling `checkpoint` before each."""
    for item in items:
        checkpoint()
        yield item


def _datacenter(state: State, name: str, until: Mapping[str, int], partly: Collection[str]) -> Json:
    """Return a datacenter as it is for all applications; one in service may have a drill for some as its cause.

    `until` has the end of the last drill that is on for a datacenter, `partly` the datacenters that are under a drill
    for some applications.
    """
    outage = state.out.get(name)
    cause = CAUSES[outage.kind] if outage else "drill" if name in partly else ""
    return {
        "name": name,
        "in_service": outage is None,
        "cause": cause,
        "why": outage_text(outage) if outage else "",
        "outage": outage_plain(outage) if outage else None,
        "until": time_plain(until[name]) if name in until and cause == "drill" else None,
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
