"""The last changes of what is in force, with who and why and the difference of the texts; of this process only."""

from __future__ import annotations

import difflib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from sidecar.routing.changes import changes
from sidecar.routing.state import State
from sidecar.table import View
from sidecar.web.status import moment

log = logging.getLogger(__name__)

Json = dict[str, Any]

_KEPT = 30
_TOLD = 20
# What is compared and what is shown of a difference, in lines; and how much of a line.
_COMPARED = 3000
_SHOWN = 200
_WIDTH = 300


def difference(before: bytes, after: bytes) -> list[str]:
    """Return the unified difference of two texts, at most _SHOWN lines of it; a word where there is too much."""
    old, new = (text.decode(errors="replace").splitlines() for text in (before, after))
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    end = 0
    while end < min(len(old), len(new)) - same and old[-1 - end] == new[-1 - end]:
        end += 1
    # A few lines around stay, for the reader.
    first, last = max(0, same - 3), max(0, end - 3)
    olds, news = old[first : len(old) - last], new[first : len(new) - last]
    if max(len(olds), len(news)) > _COMPARED:
        return [f"… {len(olds)} lines became {len(news)}"]
    lines = [line[:_WIDTH] for line in difflib.unified_diff(olds, news, lineterm="", n=2)][2:]
    more = len(lines) - _SHOWN
    shown = [_shifted(line, first) if line.startswith("@@ ") else line for line in lines[:_SHOWN]]
    return [*shown, f"… and {more} lines more"] if more > 0 else shown


def _shifted(header: str, lines: int) -> str:
    """Return `@@ -1,2 +1,3 @@` counted from the beginning of the whole text."""
    parts = header.split(" ")
    for index in (1, 2):
        sign, numbers = parts[index][0], parts[index][1:].split(",")
        parts[index] = sign + ",".join([str(int(numbers[0]) + lines), *numbers[1:]])
    return " ".join(parts)


class RecentChanges:
    """Keeps the last changes; a thread of its own works them out, so that the table is not held up.

    `count` says how many there were, `kept` is called after each.
    """

    def __init__(self, kept: Callable[[], None] = lambda: None) -> None:
        self._tell = kept
        self.count = 0
        self._kept: deque[Json] = deque(maxlen=_KEPT)
        self._work: SimpleQueue[tuple[int, View, View] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recent changes", daemon=True)

    def start(self) -> None:
        """Begin to work out what `changed` is told."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._work.put(None)

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        if after.state is not before.state or after.status.refusal is not before.status.refusal:
            self._work.put((time.time_ns(), before, after))

    def newest_first(self) -> list[Json]:
        """Return the changes as JSON."""
        return list(reversed(self._kept.copy()))

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            try:
                told = _told(*item)
            except Exception:
                log.exception("a change could not be worked out for the page; it stands all the same")
                continue
            if told is not None:
                self._kept.append(told)
                self.count += 1
                self._tell()


def _told(at_ns: int, before: View, after: View) -> Json | None:
    refusal = after.status.refusal
    if refusal is not None and refusal is not before.status.refusal:
        return {
            "at": moment(at_ns),
            "kind": "refused",
            "revision": refusal.revision,
            "generation": after.state.generation if after.state else 0,
            "meta": {},
            "words": [refusal.error.summary],
            "difference": difference(after.text, refusal.text) if after.text else [],
        }
    if after.state is None or after.state is before.state:
        return None
    new = before.state is None or before.state.document is not after.state.document
    words = _words(before.state, after.state)
    if not new and not words:
        return None
    meta = after.state.document.meta if new else {}
    return {
        "at": moment(at_ns),
        "kind": "document" if new else "clock or health",
        "revision": after.state.document.revision,
        "generation": after.state.generation,
        "meta": {key: value for key, value in meta.items() if isinstance(value, str)},
        "words": words,
        "difference": difference(before.text, after.text) if new and before.state is not None else [],
    }


def _words(before: State | None, after: State) -> Sequence[str]:
    found = changes(before, after)
    more = [f"… and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
    return [*map(str, found[:_TOLD]), *more]
