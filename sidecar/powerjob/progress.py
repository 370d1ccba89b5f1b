"""The progress of rescheduling after one change, kept over restarts: no step twice, no run left stopped."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sidecar.atomic_file import replace_file
from sidecar.powerjob.finder import RescheduleAction, RescheduleStep
from sidecar.powerjob.mover import RescheduleOutcome
from sidecar.state_file import open_state_file, read_state_file

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_MAX_READ = 16 * 1024 * 1024


class RescheduleProgress:
    """The progress after the change of a time (Unix nanoseconds), in a file, or only in memory without a `path`.

    Runs that were stopped after an earlier change, and not retried, are taken over.
    """

    def __init__(self, path: Path | None, change_ns: int) -> None:
        self.change_ns = change_ns
        self._path = path
        self._unreported: dict[int, RescheduleOutcome] = {}
        # The last outcome of each step, reported or not.
        self._outcomes: dict[int, RescheduleOutcome] = {}
        self._attempts: Counter[int] = Counter()
        self._unfinished: dict[int, RescheduleStep] = {}
        lines = list(_lines(path)) if path is not None else []
        if not lines or lines[0].get("change") != change_ns:
            self._unfinished = _unfinished_steps(lines)
            self._rewrite()
            return
        for line in lines:
            self._apply(line)

    @property
    def unreported(self) -> list[RescheduleOutcome]:
        """The outcomes since the last report."""
        return list(self._unreported.values())

    def counts(self) -> tuple[int, int, int]:
        """Return how many runs of this change were retried, were stopped, and were looked after at all."""
        done = [outcome for outcome in self._outcomes.values() if outcome.done]
        retried = sum(outcome.step.action is not RescheduleAction.STOP for outcome in done)
        stopped = sum(outcome.step.action in {RescheduleAction.STOP, RescheduleAction.RESTART} for outcome in done)
        return retried, stopped, len(self._outcomes)

    def settled(self, step: RescheduleStep) -> bool:
        """Return whether a step needs no further attempt: it succeeded, or was tried often enough."""
        return self._attempts[_subject(step)] >= _ATTEMPTS

    def unfinished(self, app: str) -> list[RescheduleStep]:
        """Return the steps that may have stopped a run and not retried it."""
        return [step for step in self._unfinished.values() if step.app == app]

    def begin(self, step: RescheduleStep) -> None:
        """Record a step before it stops a run."""
        self._append({"begun": _plain(step)})

    def end(self, outcome: RescheduleOutcome) -> None:
        """Record the outcome of a step."""
        self._append({"ended": _plain(outcome.step), "done": outcome.done, "words": outcome.words})

    def drop(self, step: RescheduleStep) -> None:
        """Record that a step is not unfinished after all: its run was never stopped, or runs again."""
        self._append({"dropped": step.instance})

    def mark_reported(self) -> None:
        """Record that all outcomes so far are reported."""
        self._append({"told": True})

    def _append(self, line: dict[str, Any]) -> None:
        self._apply(line)
        if self._path is None:
            return
        try:
            with os.fdopen(open_state_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("rescheduling progress not saved; a restart may repeat steps: %s", error.strerror or error)

    def _apply(self, line: dict[str, Any]) -> None:
        if "begun" in line:
            step = _step(line["begun"])
            self._unfinished[step.instance] = step
        elif "ended" in line:
            step = _step(line["ended"])
            self._unfinished.pop(step.instance, None)
            outcome = RescheduleOutcome(step, done=line["done"], words=line["words"])
            subject = _subject(step)
            # A retry that found no worker may have come before PowerJob's server followed the change.
            again = step.action in {RescheduleAction.RETRY, RescheduleAction.RETRY_WORKFLOW} and not outcome.done
            self._attempts[subject] += 1 if again else _ATTEMPTS
            self._unreported[subject] = outcome
            self._outcomes[subject] = outcome
        elif "dropped" in line:
            self._unfinished.pop(line["dropped"], None)
        elif "told" in line:
            self._unreported = {}

    def _rewrite(self) -> None:
        if self._path is None:
            return
        try:
            first = [{"change": self.change_ns}, *({"begun": _plain(step)} for step in self._unfinished.values())]
            content = "".join(json.dumps(line) + "\n" for line in first).encode()
            replace_file(self._path.parent, self._path.name, content)
        except OSError as error:
            log.warning("rescheduling progress not saved; a restart may repeat steps: %s", error.strerror or error)


def _unfinished_steps(lines: list[dict[str, Any]]) -> dict[int, RescheduleStep]:
    """Return the unfinished steps in the lines of an earlier change."""
    left = {}
    for line in lines:
        if "begun" in line:
            step = _step(line["begun"])
            left[step.instance] = step
        elif "ended" in line:
            left.pop(_step(line["ended"]).instance, None)
        elif "dropped" in line:
            left.pop(line["dropped"], None)
    return left


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the recorded lines; after a kill the last one may be incomplete."""
    try:
        for line in read_state_file(path, max_bytes=_MAX_READ).splitlines():
            yield json.loads(line)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        log.warning("%s: the rest is unreadable: %s", path, error)


def _subject(step: RescheduleStep) -> int:
    # The ids of runs and of workflow runs come from one generator. A retried workflow has new runs.
    return (
        step.workflow if step.action is RescheduleAction.RETRY_WORKFLOW and step.workflow is not None else step.instance
    )


def _plain(step: RescheduleStep) -> dict[str, Any]:
    return {**asdict(step), "action": step.action.value}


def _step(plain: dict[str, Any]) -> RescheduleStep:
    return RescheduleStep(**{**plain, "action": RescheduleAction(plain["action"])})
