"""A task message in a broker's queue, with the fields that moving it needs, and the result of a move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.celery.publishing import HEADER


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A task that waits. `queue` is the queue that it was published to, before a datacenter was chosen, or ""."""

    id: str
    name: str
    app: str = ""
    queue: str = ""
    job: str = ""
    instance: str = ""

    @property
    def key(self) -> str:
        """The key of its shares, "" for its name."""
        return "" if self.job in {"", self.name} else self.job


Target = Callable[[QueuedTask], str]
"""Returns the name of the queue that a task is moved to, "" for a task that stays."""


class Moved:
    """The result of a step: how many messages went to which queue, and how many were kept. `ended`: none are left."""

    __slots__ = ("ended", "kept", "moved")

    def __init__(self) -> None:
        self.moved: dict[str, int] = {}
        self.kept = 0
        self.ended = False

    def count(self, target: str) -> None:
        """Count a message: "" was kept."""
        if target:
            self.moved[target] = self.moved.get(target, 0) + 1
        else:
            self.kept += 1


def task_of(headers: object) -> QueuedTask | None:
    """Return the task of a message's headers, None for a message that is no task of Celery's second protocol."""
    if not isinstance(headers, Mapping) or not headers.get("id") or not headers.get("task"):
        return None
    asked: Any = headers.get(HEADER)
    if not isinstance(asked, Mapping):
        asked = {}
    return QueuedTask(
        str(headers["id"]),
        str(headers["task"]),
        *(str(asked.get(field) or "") for field in ("app", "queue", "job", "instance")),
    )
