"""Alerts: what an operator must know of a sidecar now, and what keeps it from being ready, as kinds and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from sidecar.counters import ProcessCounts, TaskStatus
from sidecar.lifecycle import SourceState
from sidecar.routing.plain import filled, outage_plain, time_plain
from sidecar.view import HealthNotice, Override, OverrideProblemKind, View
from sidecar.wording import no_document_text, source_text

# How many of the probes that are not made are named.
_NAMED = 5


class AlertKind(Enum):
    """An alert for the operator."""

    STOPPING = "stopping"
    NO_PROCESS = "no-process"
    NO_DOCUMENT = "no-document"
    OVERDUE = "overdue"
    OVERRIDDEN = "overridden"
    OVERRIDE_UNREADABLE = "override-unreadable"
    OVERRIDE_REFUSED = "override-refused"
    OVERRIDE_NEEDED = "override-needed"
    SOURCE = "source"
    CHECKS_IGNORED = "checks-ignored"
    PROBES_SKIPPED = "probes-skipped"
    SNAPSHOT = "snapshot"
    GRAY = "gray"
    RESCHEDULING = "rescheduling"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `component` and `text` say what keeps the sidecar from being ready, and why; both "" for others."""

    kind: AlertKind
    detail: dict[str, Any] = field(default_factory=dict)
    component: str = ""
    text: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"kind": self.kind.value, **filled(self.detail)}


_PROBLEMS = {
    OverrideProblemKind.UNREADABLE: AlertKind.OVERRIDE_UNREADABLE,
    OverrideProblemKind.REFUSED: AlertKind.OVERRIDE_REFUSED,
    OverrideProblemKind.NEEDED: AlertKind.OVERRIDE_NEEDED,
}


def blockers(view: View, processes: ProcessCounts, *, stopping: bool) -> Iterator[Alert]:
    """Yield the reasons why the sidecar is not ready."""
    status = view.status
    if stopping:
        yield Alert(AlertKind.STOPPING, component="process", text="the sidecar is going down")
    elif not processes.serving:
        text = f"none of {processes.wanted} processes takes calls"
        yield Alert(AlertKind.NO_PROCESS, {"count": processes.wanted}, "workers", text)
    if view.state is None:
        detail = {"state": status.state.name, "error": status.error}
        yield Alert(AlertKind.NO_DOCUMENT, detail, "document", no_document_text(status))
    elif view.overdue:
        text = f"out of reach for longer than --max-stale: {source_text(status)}"
        yield Alert(AlertKind.OVERDUE, {"error": status.error}, "source", text)


def alerts(view: View, processes: ProcessCounts, *, stopping: bool) -> Iterator[Alert]:
    """Yield all that an operator must know, but a refused document, which the status has in full."""
    found = list(blockers(view, processes, stopping=stopping))
    yield from found
    if view.override is not None:
        yield from _override(view.override)
    status = view.status
    known = any(alert.kind in {AlertKind.NO_DOCUMENT, AlertKind.OVERDUE} for alert in found)
    # A snapshot that the source has not confirmed yet is an alert of its own.
    quiet = status.state is SourceState.SYNCED or (status.from_snapshot and not status.error)
    if not known and not quiet and status.refusal is None:
        yield Alert(AlertKind.SOURCE, {"state": status.state.name, "error": status.error})
    if status.gray is not None:
        detail = {"rule": status.gray.rule, "clients": [*status.gray.clients]}
        yield Alert(AlertKind.GRAY, {**detail, "since": time_plain(status.gray_since_ns)})
    if view.health is not None:
        yield from _health(view.health)
    if status.from_snapshot:
        yield Alert(AlertKind.SNAPSHOT)


def rescheduling(tasks: Iterable[TaskStatus]) -> Iterator[Alert]:
    """Yield how far each `powerjob` reaction is that works on a change."""
    for task in tasks:
        if task.rescheduling is not None and task.rescheduling.found:
            yield Alert(AlertKind.RESCHEDULING, {"name": task.name, **asdict(task.rescheduling)})


def failing(view: View, processes: ProcessCounts, *, stopping: bool) -> dict[str, str]:
    """Return the parts that keep the sidecar from being ready, and why; empty where it is."""
    return {alert.component: alert.text for alert in blockers(view, processes, stopping=stopping)}


def _override(override: Override) -> Iterator[Alert]:
    if override.loaded is not None:
        yield Alert(AlertKind.OVERRIDDEN, {"url": override.url, "since": time_plain(override.since_ns)})
    if override.problem is not None:
        yield Alert(_PROBLEMS[override.problem.kind], {"url": override.url, "error": override.problem.error})


def _health(notice: HealthNotice) -> Iterator[Alert]:
    if notice.ignored:
        outages = [{"datacenter": name, **outage_plain(outage)} for name, outage in notice.ignored.items()]
        yield Alert(AlertKind.CHECKS_IGNORED, {"outages": outages})
    if notice.skipped:
        probes = [
            {
                "datacenter": probe.datacenter,
                "probe": probe.probe,
                "reason": probe.reason.value,
                **filled({"target": probe.target, "count": probe.count}),
            }
            for probe in notice.skipped[:_NAMED]
        ]
        yield Alert(AlertKind.PROBES_SKIPPED, {"probes": probes, "total": len(notice.skipped)})
