"""The `celery` reaction: moves the tasks that wait in a datacenter that work has left, by a process of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from sidecar.audit.event import MOVES, AuditEvent, EventKind
from sidecar.audit.record import Record
from sidecar.config.option import PREFIX
from sidecar.counters import RescheduleCounts
from sidecar.errors import TaskDeferred, TaskFailed
from sidecar.reactions.follow_up import FollowUp, ReactionContext
from sidecar.reactions.settings import Reaction

log = logging.getLogger(__name__)

# By then all sidecars and publishers follow the change too.
_SETTLE_S = 5.0
_EVERY_S = 15.0
_POLL_S = 0.2
_SHOWN = 300
# The exit code of `celery move` where some tasks stay.
_NOT_ALL = 5


class CeleryMoves(FollowUp):
    """Executes a `celery` reaction by `dc-sidecar celery move`: the sidecar itself never imports Celery.

    When the sidecar stops it ends the process, which leaves each task in one queue.
    """

    def __init__(
        self,
        reaction: Reaction,
        context: ReactionContext,
        *,
        command: Sequence[str] = (sys.executable, "-m", "sidecar"),
        settle_s: float = _SETTLE_S,
        every_s: float = _EVERY_S,
    ) -> None:
        assert reaction.celery is not None
        self._settings = reaction.celery
        super().__init__(reaction, context, watch_for=self._settings.watch_for, settle_s=settle_s, every_s=every_s)
        self._timeout = reaction.timeout
        self._command = tuple(command)
        self._left: dict[str, None] = {}
        # What was moved after the current change, by queue.
        self._moved: Counter[str] = Counter()

    def __call__(self, record: Record, events: Sequence[AuditEvent]) -> None:
        """Move the tasks that wait in datacenters that a change left. Raises TaskFailed, TaskDeferred."""
        # What a newer change interrupted is looked at again: each task goes where it belongs at that time.
        self._left |= dict.fromkeys(left_by(events, self._settings.app))
        self._claim.begin()
        self._moved.clear()
        self._counts = RescheduleCounts(found=0, retried=0, stopped=0, waiting=0)
        try:
            if self._follow(record, partial(self._search, record)):
                self._left = {}
        finally:
            self._counts = None
            self._report_moved(record, self._moved)

    def _search(self, record: Record) -> None:
        """Move the tasks that wait now."""
        waiting = 0
        for datacenter in self._left:
            for queue in self._move(datacenter, record):
                self._moved.update({str(name): int(count) for name, count in queue["moved"].items()})
                waiting += sum(int(count) for count in queue["kept"].values())
        done = self._moved.total()
        self._counts = RescheduleCounts(found=done + waiting, retried=done, stopped=0, waiting=waiting)

    def _move(self, datacenter: str, record: Record) -> list[Mapping[str, Any]]:
        """Run the command once; return its report on each queue. Raises TaskFailed, TaskDeferred."""
        settings = self._settings
        words = [*self._command, "celery", "move", settings.app, "--from", datacenter, "--yes", "-o", "json"]
        words += ["--broker-file", str(settings.broker_file), "--sidecar", settings.sidecar, *settings.tls]
        words += [
            "--template",
            settings.template,
            "--rate",
            f"{settings.rate:g}",
            "--timeout",
            f"{self._timeout:g}s",
        ]
        words += [flag for queue in settings.queues for flag in ("--queue", queue)]
        if settings.unacked:
            words.append("--unacked")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environment, start_new_session=True
                )
            except OSError as error:
                raise TaskFailed(f"{words[0]} cannot be run: {error.strerror}") from error
            try:
                code = self._wait(process, record)
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if code not in {0, _NOT_ALL}:
                raise TaskFailed(f"celery move: {_text(errors)[-_SHOWN:].strip() or f'it exited with {code}'}")
            report = json.loads(_text(out))
            return list(report["queues"])

    def _wait(self, process: subprocess.Popen[bytes], record: Record) -> int:
        while True:
            try:
                return process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if self._stopping.is_set():
                    raise TaskDeferred("the sidecar is stopping") from None
                self._claim.renew(record)

    def _report_moved(self, record: Record, moved: Counter[str]) -> None:
        if not moved:
            return
        went = ", ".join(f"{count:,} tasks moved to {queue}" for queue, count in moved.items())
        results = [{"done": True, "result": f"moved to {queue}", "count": count} for queue, count in moved.items()]
        event = AuditEvent(
            kind=EventKind.RESCHEDULED,
            text=f"{self._settings.app}: {went}",
            detail={"app": self._settings.app, "results": results},
            subjects=(self._settings.app,),
        )
        self._report_done(record, [event])


def left_by(events: Sequence[AuditEvent], app: str) -> list[str]:
    """Return the datacenters that lose work of an application, or of the default route, by a change."""
    left: dict[str, None] = {}
    for event in events:
        if event.kind not in MOVES or not {app, "default"} & {subject.partition("/")[0] for subject in event.subjects}:
            continue
        before, after = (_shares(event, side) for side in ("before", "after"))
        left |= dict.fromkeys(name for name, share in before.items() if after.get(name, 0.0) < share)
    return list(left)


def _shares(event: AuditEvent, side: str) -> Mapping[str, float]:
    found = (event.detail or {}).get(side) or {}
    return found.get("shares") or {}


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
