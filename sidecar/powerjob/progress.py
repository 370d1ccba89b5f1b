"""Remembers what was done about one change, over restarts: nothing is done twice, and nothing stays half done."""

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

log = logging.getLogger(__name__)

_ATTEMPTS = 3


class RescheduleProgress:
    """What was done about the change of a time (Unix nanoseconds), in a file, or in memory only where there is none.

    What an earlier change left half done is taken over.
    """

    def __init__(self, path: Path | None, change_ns: int) -> None:
        self.change_ns = change_ns
        self._path = path
        self._untold: dict[int, RescheduleOutcome] = {}
        self._attempts: Counter[int] = Counter()
        self._half_done: dict[int, RescheduleStep] = {}
        lines = list(_lines(path)) if path is not None else []
        if not lines or lines[0].get("change") != change_ns:
            self._half_done = _left(lines)
            self._rewrite()
            return
        for line in lines:
            self._take(line)

    @property
    def untold(self) -> list[RescheduleOutcome]:
        """What came of each step since the last report."""
        return list(self._untold.values())

    def seen(self, step: RescheduleStep) -> bool:
        """Tell whether enough was done about this: it worked, or was tried often enough."""
        return self._attempts[_subject(step)] >= _ATTEMPTS

    def half_done(self, app: str) -> list[RescheduleStep]:
        """Return what was to be stopped and retried, and was perhaps not retried."""
        return [step for step in self._half_done.values() if step.app == app]

    def begin(self, step: RescheduleStep) -> None:
        """Note, before it is done, what must not stay half done."""
        self._note({"begun": _plain(step)})

    def end(self, outcome: RescheduleOutcome) -> None:
        """Note what came of a step."""
        self._note({"ended": _plain(outcome.step), "done": outcome.done, "words": outcome.words})

    def drop(self, step: RescheduleStep) -> None:
        """Note that what was begun is not half done after all: it was never stopped, or goes on already."""
        self._note({"dropped": step.instance})

    def told(self) -> None:
        """Note that all outcomes so far are reported."""
        self._note({"told": True})

    def _note(self, line: dict[str, Any]) -> None:
        self._take(line)
        if self._path is None:
            return
        try:
            with self._path.open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("what was done for PowerJob is not kept over a restart: %s", error.strerror or error)

    def _take(self, line: dict[str, Any]) -> None:
        if "begun" in line:
            step = _step(line["begun"])
            self._half_done[step.instance] = step
        elif "ended" in line:
            step = _step(line["ended"])
            self._half_done.pop(step.instance, None)
            outcome = RescheduleOutcome(step, done=line["done"], words=line["words"])
            subject = _subject(step)
            # A retry that found no worker may have come before PowerJob's server heard of the change.
            again = step.action in {RescheduleAction.RETRY, RescheduleAction.RETRY_WORKFLOW} and not outcome.done
            self._attempts[subject] += 1 if again else _ATTEMPTS
            self._untold[subject] = outcome
        elif "dropped" in line:
            self._half_done.pop(line["dropped"], None)
        elif "told" in line:
            self._untold = {}

    def _rewrite(self) -> None:
        if self._path is None:
            return
        try:
            first = [{"change": self.change_ns}, *({"begun": _plain(step)} for step in self._half_done.values())]
            content = "".join(json.dumps(line) + "\n" for line in first).encode()
            replace_file(self._path.parent, self._path.name, content)
        except OSError as error:
            log.warning("what is done for PowerJob is not kept over a restart: %s", error.strerror or error)


def _left(lines: list[dict[str, Any]]) -> dict[int, RescheduleStep]:
    """Return what lines of an earlier change left half done."""
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
    """Yield what is noted; a kill may have left half a line at the end."""
    try:
        for line in path.read_bytes().splitlines():
            yield json.loads(line)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        log.warning("%s: the rest cannot be read: %s", path, error)


def _subject(step: RescheduleStep) -> int:
    # PowerJob gives out the numbers of runs and of workflows' runs by one generator. A retried workflow has new runs.
    return (
        step.workflow if step.action is RescheduleAction.RETRY_WORKFLOW and step.workflow is not None else step.instance
    )


def _plain(step: RescheduleStep) -> dict[str, Any]:
    return {**asdict(step), "action": step.action.value}


def _step(plain: dict[str, Any]) -> RescheduleStep:
    return RescheduleStep(**{**plain, "action": RescheduleAction(plain["action"])})
