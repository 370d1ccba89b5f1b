"""Does something with each record, in order, on a thread of its own, again while it fails, and over restarts."""

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
from sidecar.counters import TaskStatus

log = logging.getLogger(__name__)

FOLDER = "followers"
"""Where, in the state directory, is kept how far each follower has come."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_LOOK_S = 1.0


class TaskFailed(Exception):
    """It did not work; `final` tells that another attempt would not either. The message holds no secret."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class TaskDeferred(Exception):
    """It is not yet time: it is to be asked again soon, however long that takes."""


class DependencyUnavailable(TaskDeferred):
    """What it needs first cannot be asked, or does not know of the record yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerTask:
    """What a follower does: `act` with each record that is `wanted`, until `retry_for` seconds after its time.

    `act` raises Failed or Later. A follower that is new begins with the next record, with `from_start` with the first
    one that the journal has.
    """

    name: str
    act: Callable[[Record], None]
    wanted: Callable[[Record], bool]
    retry_for: float
    first_pause: float = _FIRST_PAUSE_S
    from_start: bool = False


class RecordConsumer(BackgroundThread):
    """Does its task for each record that it takes, what is left from an earlier life first.

    With a `state_dir` it goes on, after a restart, behind the last record that it was done with, by the `journal`
    there; and there it looks for those for which memory had no room. Without one the oldest of too many are dropped.
    What waits when it stops goes on at the next start.
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
        self._behind_ns = 0
        self._done_ns = 0
        self._done = self._failed = self._dropped = 0
        self._error = ""

    def enqueue(self, record: Record) -> None:
        """Take a record; returns at once."""
        if not self._task.wanted(record):
            return
        with self._work:
            full = len(self._waiting) >= self._max_waiting
            if self._journal is not None and (full or self._behind_ns):
                self._behind_ns = record.at_ns
                return
            if full:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(record)
            self._work.notify()

    def status(self) -> TaskStatus:
        """Return how it stands now."""
        return TaskStatus(self._task.name, len(self._waiting), self._done, self._failed, self._dropped, self._error)

    def _run(self) -> None:
        self._load()
        self._look()
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._behind_ns or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                record = self._waiting[0] if self._waiting else None
            if record is None:
                # The journal may not have it yet.
                self._look()
                if not self._waiting:
                    self._stopping.wait(_LOOK_S)
                continue
            try:
                finished = self._deal_with(record)
            except Exception:
                log.exception("%s failed", self._task.name)
                finished = True
            if not finished:
                return
            with self._work:
                # More that came may have pushed it out.
                if self._waiting and self._waiting[0] is record:
                    self._waiting.popleft()
            self._save(record.at_ns)

    def _deal_with(self, record: Record) -> bool:
        """Try until it works, or it is too late; False where the sidecar ends before."""
        backoff = Backoff(first_s=self._task.first_pause, longest_s=_LONGEST_PAUSE_S)
        while True:
            try:
                self._task.act(record)
            except TaskDeferred as error:
                self._error = str(error)
                pause = jitter(min(_LOOK_S, self._task.first_pause))
            except TaskFailed as error:
                age = (time.time_ns() - record.at_ns) / 1e9
                if error.final or age + backoff.pause_s > self._task.retry_for:
                    self._error = str(error)
                    self._failed += 1
                    log.error("%s: given up: %s", self._task.name, error)  # noqa: TRY400 - it is told
                    return True
                if self._error != str(error):
                    log.warning("%s: it is tried again, for now in %.0f s: %s", self._task.name, backoff.pause_s, error)
                self._error = str(error)
                pause = backoff.fail()
            else:
                self._done += 1
                self._error = ""
                return True
            if self._stopping.wait(pause):
                return False

    def _load(self) -> None:
        """Find out how far an earlier life came; a first one begins now."""
        if self._folder is None:
            return
        try:
            self._done_ns = int(json.loads((self._folder / self._task.name).read_bytes())["done_ns"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("%s: how far it came is not readable; it begins anew: %s", self._task.name, error)
            self._save(0 if self._task.from_start else time.time_ns())

    def _look(self) -> None:
        """Put what the journal has behind the last record that was done before what came since."""
        if self._journal is None:
            return
        # Of too many the oldest are kept, for their turn is first.
        left: deque[Record] = deque(maxlen=self._max_waiting)
        seen = newest = 0
        try:
            for record in newest_first(self._journal):
                if record.at_ns <= self._done_ns:
                    break
                newest = newest or record.at_ns
                if record.source == self._source and self._task.wanted(record):
                    left.append(record)
                    seen += 1
        except OSError as error:
            log.warning("%s: what is left to do is not known: %s", self._task.name, error)
            return
        with self._work:
            came = {record.at_ns for record in self._waiting}
            self._waiting.extendleft(record for record in left if record.at_ns not in came)
            if seen > len(left):
                # Those that came since wait in the journal with the others.
                self._behind_ns = max(self._behind_ns, newest)
                while len(self._waiting) > self._max_waiting:
                    self._behind_ns = max(self._behind_ns, self._waiting.pop().at_ns)
            elif newest >= self._behind_ns:
                self._behind_ns = 0

    def _save(self, done_ns: int) -> None:
        self._done_ns = done_ns
        if self._folder is None:
            return
        try:
            replace_file(self._folder, self._task.name, json.dumps({"done_ns": done_ns}).encode())
        except OSError as error:
            log.warning("%s: how far it came is not kept: %s", self._task.name, error.strerror or error)
