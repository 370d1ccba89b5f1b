"""What a source of the routing document is: one key of a config center, watched, and written by the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Content:
    """The key holds this text; `version` is the source's own name for it (a digest, MD5, mzxid)."""

    text: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The key does not exist, or holds nothing; `reason` says it in a line for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The config center cannot be asked now; `reason` says why and what to look at."""

    reason: str


Report = Content | Missing | Unreachable


class Source(Protocol):
    """One watched key.

    Between `start` and `stop` a source reports, from threads of its own, what it sees: `Content` or `Missing` each time
    that it has read the key, also when nothing changed (so freshness is known), `Unreachable` once it could not.
    It reports in order and never an older text after a newer one, outlives every fault of its server without a busy
    loop, and lets no exception out. `deliver` only takes the newest report and returns at once; it never raises.
    """

    @property
    def url(self) -> str:
        """Where it looks, fit to be shown to anybody: never with credentials."""
        ...

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Begin to watch; returns at once, also while the config center is away."""
        ...

    def stop(self, timeout: float) -> None:
        """End the watching within `timeout` seconds, whatever the server does; nothing is delivered afterwards."""
        ...

    def read(self, timeout: float) -> Content | Missing:
        """Ask once, without `start`. Raises SourceError when there is no answer within `timeout` seconds."""
        ...

    def write(self, text: bytes, expected_version: str | None, timeout: float) -> str:
        """Replace what `read` returned as `expected_version` (None: there must be no key yet); return the new version.

        Raises WriteConflict, and writes nothing, when the key is not at that version any more; SourceError when it
        cannot be written or it is not known whether it was.
        """
        ...
