"""Processes records in order on a thread of its own, with retries, and continues after a restart."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.atomic_file import replace_file
from sidecar.audit.journal_reader import newest_first
from sidecar.audit.record import Record
from sidecar.background import BackgroundThread
from sidecar.backoff import Backoff, jitter
from sidecar.counters import RescheduleCounts, TaskStatus
from sidecar.errors import TaskDeferred, TaskFailed
from sidecar.state_file import read_state_file

log = logging.getLogger(__name__)

FOLDER = "followers"
"""The folder of the state directory that has each consumer's position."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_POLL_S = 1.0
_MAX_POSITION = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerTask:
    """The task of a consumer: call `act` with each record that is `wanted`, until `retry_for` seconds after its time.

    `act` raises TaskFailed or TaskDeferred. `first_pause` is how long it waits after a failure, in seconds; pauses
    double up to a minute. A new consumer starts with the next record, or with the journal's oldest if `from_start`.
    """

    name: str
    act: Callable[[Record], None]
    wanted: Callable[[Record], bool]
    retry_for: float
    first_pause: float = _FIRST_PAUSE_S
    from_start: bool = False
    rescheduling: Callable[[], RescheduleCounts | None] = lambda: None


class RecordConsumer(BackgroundThread):
    """Does its task for each record that is enqueued, after those left at the last stop.

    With a `state_dir` it keeps its position: after a restart it continues behind the last record that it finished, from
    the `journal`. There it also finds the records beyond `max_waiting`, which are not kept in memory; without a journal
    the oldest of them are dropped.
    """

    def __init__(
        self, task: ConsumerTask, *, source: str, state_dir: Path | None, journal: Path | None, max_waiting: int = 1000
    ) -> None:
        super().__init__(task.name)
        self._task = task
        self._source = source
        self._folder = state_dir / FOLDER if state_dir else None
        self._journal = journal
        self._max_waiting = max_waiting
        self._waiting: deque[Record] = deque()
        # The time of the newest record that is only in the journal, 0 for none.
        self._backlog_ns = 0
        # The position: the time of the last record that was finished.
        self._position_ns = 0
        self._done = self._failed = self._dropped = 0
        self._error = ""

    def enqueue(self, record: Record) -> None:
        """Enqueue a record; returns at once."""
        if not self._task.wanted(record):
            return
        with self._work:
            full = len(self._waiting) >= self._max_waiting
            if self._journal is not None and (full or self._backlog_ns):
                self._backlog_ns = record.at_ns
                return
            if full:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(record)
            self._work.notify()

    def status(self) -> TaskStatus:
        """Return the consumer's status."""
        return TaskStatus(
            self._task.name,
            len(self._waiting),
            self._done,
            self._failed,
            self._dropped,
            self._error,
            self._task.rescheduling(),
        )

    def _run(self) -> None:
        self._load_position()
        self._refill()
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._backlog_ns or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                record = self._waiting[0] if self._waiting else None
            if record is None:
                # The journal may not have it yet.
                self._refill()
                if not self._waiting:
                    self._stopping.wait(_POLL_S)
                continue
            try:
                finished = self._process(record)
            except Exception:
                log.exception("%s failed", self._task.name)
                finished = True
            if not finished:
                return
            with self._work:
                # Later records may have pushed it out.
                if self._waiting and self._waiting[0] is record:
                    self._waiting.popleft()
            self._save_position(record.at_ns)

    def _process(self, record: Record) -> bool:
        """Try until it succeeds or time is up; return False if the sidecar stops before."""
        backoff = Backoff(first_s=self._task.first_pause, longest_s=_LONGEST_PAUSE_S)
        while True:
            try:
                self._task.act(record)
            except TaskDeferred as error:
                self._error = str(error)
                pause = jitter(min(_POLL_S, self._task.first_pause))
            except TaskFailed as error:
                age = (time.time_ns() - record.at_ns) / 1e9
                if error.final or age + backoff.pause_s > self._task.retry_for:
                    self._error = str(error)
                    self._failed += 1
                    log.error("%s: given up: %s", self._task.name, error)  # noqa: TRY400 - a failure of the other side, not a defect
                    return True
                if self._error != str(error):
                    log.warning("%s: failed, retrying in %.0f s: %s", self._task.name, backoff.pause_s, error)
                self._error = str(error)
                pause = backoff.fail()
            else:
                self._done += 1
                self._error = ""
                return True
            if self._stopping.wait(pause):
                return False

    def _load_position(self) -> None:
        """Load the position of the last run; a first one starts now."""
        if self._folder is None:
            return
        try:
            saved = read_state_file(self._folder / self._task.name, max_bytes=_MAX_POSITION)
            self._position_ns = int(json.loads(saved)["done_ns"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("%s: position file unreadable; starting from scratch: %s", self._task.name, error)
            self._save_position(0 if self._task.from_start else time.time_ns())

    def _refill(self) -> None:
        """Put the unfinished records of the journal before those that were enqueued since the start."""
        if self._journal is None:
            return
        # Beyond the bound the oldest are kept: their turn is first.
        left: deque[Record] = deque(maxlen=self._max_waiting)
        seen = newest = 0
        try:
            for record in newest_first(self._journal):
                if record.at_ns <= self._position_ns:
                    break
                newest = newest or record.at_ns
                if record.source == self._source and self._task.wanted(record):
                    left.append(record)
                    seen += 1
        except OSError as error:
            log.warning(
                "%s: journal unreadable; unfinished records of earlier runs are not processed now: %s",
                self._task.name,
                error,
            )
            return
        with self._work:
            came = {record.at_ns for record in self._waiting}
            self._waiting.extendleft(record for record in left if record.at_ns not in came)
            if seen > len(left):
                # Those enqueued since wait in the journal with the others.
                self._backlog_ns = max(self._backlog_ns, newest)
                while len(self._waiting) > self._max_waiting:
                    self._backlog_ns = max(self._backlog_ns, self._waiting.pop().at_ns)
            elif newest >= self._backlog_ns:
                self._backlog_ns = 0

    def _save_position(self, done_ns: int) -> None:
        self._position_ns = done_ns
        if self._folder is None:
            return
        try:
            replace_file(self._folder, self._task.name, json.dumps({"done_ns": done_ns}).encode())
        except OSError as error:
            log.warning(
                "%s: position not saved; a restart repeats what was done since: %s",
                self._task.name,
                error.strerror or error,
            )
