"""A task message in a broker's queue, as far as moving it needs to know."""

from __future__ import annotations

from collections.abc import Mapping
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
        """What its shares are taken by, "" for its name."""
        return "" if self.job in {"", self.name} else self.job


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
