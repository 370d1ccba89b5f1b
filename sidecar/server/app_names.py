"""The names that schedulers send for an application, so commands can ask under the same ones."""

from __future__ import annotations

# Names that are kept at least; bounded, since any caller can invent names.
_NAMES = 4096
# Characters of all names, those of an application once for each of them.
_CHARACTERS = 2 * 1024 * 1024

AppNames = tuple[str, ...]
"""An application's `app`, then its `app_aliases`."""


class AppNamesTracker:
    """The names of the newest dispatch request for each application, found under any of them.

    Bounded in two generations, as a memo is. Threads share it without a lock: a race loses a note, which the next
    request repeats.
    """

    __slots__ = ("_old", "_taken", "_young")

    def __init__(self) -> None:
        self._taken = 0
        self._young: dict[str, AppNames] = {}
        self._old: dict[str, AppNames] = {}

    def note(self, names: AppNames) -> None:
        """Keep the names of a dispatch."""
        young = self._young
        for name in names:
            if name not in young:
                self._taken += sum(map(len, names))
            young[name] = names
        if len(young) > _NAMES or self._taken > _CHARACTERS:
            self._old = young
            self._young = {}
            self._taken = 0

    def find(self, name: str) -> AppNames:
        """Return all names of the application known as `name`, `app` first; empty if no dispatch used it."""
        return self._young.get(name) or self._old.get(name) or ()
