"""Runs each reaction on a thread of its own, in order, again while it fails, and over restarts of the sidecar."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.audit.reading import FOLDER as AUDIT_FOLDER
from sidecar.audit.reading import newest_first
from sidecar.audit.record import Event, Record
from sidecar.durable import replace_file
from sidecar.reactions.acting import Failed, act
from sidecar.reactions.settings import Reaction, read_reactions

log = logging.getLogger(__name__)

FOLDER = "reactions"
"""Where, in the state directory, is kept how far each reaction has come."""

_MAX_WAITING = 1000
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0

Act = Callable[[Reaction, Record, tuple[Event, ...]], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a reaction stands: how many changes wait, were told, could not be told, and were dropped as too many came."""

    name: str
    waiting: int
    done: int
    failed: int
    dropped: int
    error: str


class Runner:
    """Does one reaction for each record that it takes and that concerns it.

    With a `state_dir` it goes on, after a restart, behind the last change that it was done with, by the audit's journal
    there. Of more than a thousand that wait the oldest are dropped.
    """

    def __init__(
        self,
        reaction: Reaction,
        *,
        state_dir: Path | None = None,
        journal: Path | None = None,
        source: str = "",
        act: Act = act,
        first_pause: float = _FIRST_PAUSE_S,
    ) -> None:
        self.reaction = reaction
        self._folder = state_dir / FOLDER if state_dir else None
        self._journal = journal
        self._source = source
        self._act = act
        self._first_pause = first_pause
        self._waiting: deque[Record] = deque()
        self._done = self._failed = self._dropped = 0
        self._error = ""
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"reaction {reaction.name}", daemon=True)

    def start(self) -> None:
        """Begin; what is left from an earlier life comes first."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End within `timeout` seconds; what is waiting goes on at the next start."""
        with self._work:
            self._stopping.set()
            self._work.notify()
        self._thread.join(timeout)

    def take(self, record: Record) -> None:
        """Take a record; returns at once."""
        if not self.reaction.wanted(record):
            return
        with self._work:
            self._waiting.append(record)
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._work.notify()

    @property
    def standing(self) -> Standing:
        """How it stands now."""
        return Standing(self.reaction.name, len(self._waiting), self._done, self._failed, self._dropped, self._error)

    def _run(self) -> None:
        try:
            self._resume()
        except OSError as error:
            log.warning("reaction %s: what was left to do is not known: %s", self.reaction.name, error)
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                record = self._waiting[0]
            try:
                finished = self._deal_with(record)
            except Exception:
                log.exception("reaction %s failed", self.reaction.name)
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
        pause = self._first_pause
        events = self.reaction.wanted(record)
        while True:
            try:
                self._act(self.reaction, record, events)
            except Failed as error:
                self._error = str(error)
                age = (time.time_ns() - record.at_ns) / 1e9
                if error.final or age + pause > self.reaction.retry_for:
                    self._failed += 1
                    log.error("reaction %s: given up: %s", self.reaction.name, error)  # noqa: TRY400 - it is told
                    return True
                log.warning("reaction %s: it is tried again in %.0f s: %s", self.reaction.name, pause, error)
                if self._stopping.wait(pause * random.uniform(0.8, 1.2)):  # noqa: S311 - no secret
                    return False
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._done += 1
                self._error = ""
                return True

    def _resume(self) -> None:
        """Put what the journal has behind the last change that was done before what came since."""
        if self._folder is None or self._journal is None:
            return
        try:
            done_ns = int(json.loads((self._folder / self.reaction.name).read_bytes())["done_ns"])
        except FileNotFoundError:
            self._save(time.time_ns())
            return
        except (ValueError, KeyError, TypeError):
            log.warning("reaction %s: how far it came is not readable; it begins anew", self.reaction.name)
            self._save(time.time_ns())
            return
        left: list[Record] = []
        for record in newest_first(self._journal):
            if record.at_ns <= done_ns or len(left) == _MAX_WAITING:
                break
            if record.source == self._source and self.reaction.wanted(record):
                left.append(record)
        with self._work:
            came = {record.at_ns for record in self._waiting}
            self._waiting.extendleft(record for record in left if record.at_ns not in came)

    def _save(self, done_ns: int) -> None:
        if self._folder is None:
            return
        try:
            replace_file(self._folder, self.reaction.name, json.dumps({"done_ns": done_ns}).encode())
        except OSError as error:
            log.warning("reaction %s: how far it came is not kept: %s", self.reaction.name, error.strerror or error)


class Reactions:
    """All reactions of a sidecar, as the configuration lists them; none delays another. Raises ConfigError."""

    def __init__(self, tree: object, *, source: str, state_dir: Path | None) -> None:
        journal = state_dir / AUDIT_FOLDER if state_dir is not None else None
        self._runners = tuple(
            Runner(reaction, state_dir=state_dir, journal=journal, source=source) for reaction in read_reactions(tree)
        )

    def start(self) -> None:
        """Begin all."""
        for runner in self._runners:
            runner.start()

    def stop(self, timeout: float) -> None:
        """End all within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for runner in self._runners:
            runner.stop(max(0.0, deadline - time.monotonic()))

    def take(self, record: Record) -> None:
        """Hand a record to each of them; returns at once."""
        for runner in self._runners:
            runner.take(record)

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How each stands now."""
        return tuple(runner.standing for runner in self._runners)
