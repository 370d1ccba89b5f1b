"""The last changes for the page: those that the audit has from before the start, then each new one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

from sidecar.gil import Yielder
from sidecar.web.history import HistoryReader

log = logging.getLogger(__name__)

Json = dict[str, Any]

_KEPT = 30
# How much of one change is shown: names of each event, changes, lines of the difference, and how much of a line.
_NAMES = 50
_CHANGES = 20
_LINES = 200
_WIDTH = 300
_SHOWN = ("at", "cause", "revision", "changed", "before", "origin")


class ShownChange(Protocol):
    """A record of the audit."""

    def outline(self) -> Json:
        """Return it as JSON shows it."""


class RecentChanges:
    """Keeps the newest thirty changes, each as much of it as a page shows; `history` reads those before.

    `count` is how many were taken. Any thread may call the methods.
    """

    def __init__(self, history: HistoryReader | None = None) -> None:
        self._history = history
        self.count = 0
        self._listeners: list[Callable[[], None]] = []
        # By their times, of which the audit gives no two records the same: a record from both sides is kept once.
        self._kept: dict[int, Json] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def take(self, record: ShownChange) -> None:
        """Keep a change."""
        self._keep(record.outline())
        self.count += 1
        for listener in self._listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each change, on the thread that takes it. To be called before the start."""
        self._listeners.append(listener)

    def newest_first(self) -> list[Json]:
        """Return the changes as JSON. The first time it reads the disk: not for the loop."""
        with self._loading:
            history, self._history = self._history, None
            if history is not None:
                try:
                    for outline in islice(history(None, 0, Yielder()), _KEPT):
                        self._keep(outline)
                except OSError as error:
                    log.warning("the page shows no changes from before the start, the audit cannot be read: %s", error)
        with self._lock:
            return [self._kept[at] for at in sorted(self._kept, reverse=True)]

    def _keep(self, outline: Json) -> None:
        change = _shown(outline)
        with self._lock:
            self._kept[outline["at_ns"]] = change
            for at in sorted(self._kept)[:-_KEPT]:
                del self._kept[at]


def _shown(outline: Json) -> Json:
    difference = outline.get("difference", ())
    lines = [line[:_WIDTH] for line in difference[:_LINES]]
    more = [f"… and {len(difference) - _LINES} lines more"] if len(difference) > _LINES else []
    meta = outline.get("meta", {})
    return {
        **{name: outline[name] for name in _SHOWN if name in outline},
        "meta": {key: value for key, value in meta.items() if isinstance(value, str)},
        "events": [_event(event) for event in outline["events"]],
        "words": list(outline.get("changes", ())[:_CHANGES]),
        "changes": list(outline.get("route_changes", ())[:_CHANGES]),
        "difference": [*lines, *more],
    }


def _event(event: Json) -> Json:
    subjects = event.get("subjects", ())
    shown = {**event, "subjects": list(subjects[:_NAMES]), "total": len(subjects)}
    if "apps" in event.get("detail", {}):
        apps = event["detail"]["apps"]
        shown["detail"] = {**event["detail"], "apps": list(apps[:_NAMES]), "total": len(apps)}
    return shown
