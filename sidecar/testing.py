"""Fakes for tests of programs that build on the sidecar: a source and a clock that the test controls."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5

from sidecar.errors import SourceError, WriteConflict
from sidecar.sources.base import NO_NOTE, ChangeNote, Content, History, Missing, Report, Unreachable


class FakeSource:
    """A source whose key is in memory; the test plays the config center, and those who edit the key.

    `put`, `remove` and `lose` change what there is and report it, as a real source would; `report` reports anything.
    """

    def __init__(
        self, text: bytes | str | None = None, *, url: str = "fake:routing", history: History | None = None
    ) -> None:
        self.url = url
        self.history = history
        self._deliver: Callable[[Report], None] | None = None
        self._now: Report = Unreachable("not started")
        self._now = Missing("there is no key") if text is None else _content(text)

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Report what there is, and from now on each change."""
        self._deliver = deliver
        deliver(self._now)

    def stop(self, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """Report no more."""
        self._deliver = None

    def put(self, text: bytes | str) -> None:
        """Let the key hold this text."""
        self.report(_content(text))

    def remove(self) -> None:
        """Let there be no key."""
        self.report(Missing("the key was removed"))

    def lose(self, reason: str = "connection refused") -> None:
        """Let the config center be away; `put` brings it back."""
        self.report(Unreachable(reason))

    def report(self, report: Report) -> None:
        """Let this be what there is, and report it to who watches."""
        self._now = report
        if self._deliver is not None:
            self._deliver(report)

    def read(self, timeout: float) -> Content | Missing:  # noqa: ARG002 - it takes no time
        """Return the key's content. Raises SourceError while the config center is away."""
        if isinstance(self._now, Unreachable):
            raise SourceError(self._now.reason)
        return self._now

    def write(
        self,
        text: bytes,
        expected_version: str | None,
        timeout: float,
        note: ChangeNote = NO_NOTE,  # noqa: ARG002 - the signature of every source
    ) -> str:
        """Replace the text. Raises WriteConflict if the key is not at this version, SourceError while it is away."""
        found = self.read(timeout)
        version = found.version if isinstance(found, Content) else None
        if version != expected_version:
            raise WriteConflict(f"{self.url}: found version {version}, expected {expected_version}: read it again")
        written = _content(text)
        self.report(written)
        return written.version


class FakeClock:
    """A wall clock in Unix nanoseconds that stands still until the test moves it."""

    def __init__(self, now_ns: int = 1_800_000_000 * 10**9) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Move it; back, too."""
        self.now_ns += round(seconds * 10**9)


def _content(text: bytes | str) -> Content:
    encoded = text.encode() if isinstance(text, str) else text
    return Content(encoded, md5(encoded, usedforsecurity=False).hexdigest())
