"""A config center with one key that tests break."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.errors import WriteConflict
from sidecar.sources.base import NO_NOTE, ChangeNote, Content, Gray, History, Missing, Report

OLD = b"default: dc1\n"
THEIRS = b"default: dc1\napps:\n  theirs: dc2\n"


class Center:
    """A config center with one key; `write` goes as each of `ways` says, in turn, and well at the end."""

    url = "fake:key"
    history: History | None = None

    def __init__(self, *ways: Callable[[Center, bytes], None]) -> None:
        self.text = OLD
        self.lagging = 0
        self.before = OLD
        self.ways = [*ways]

    def start(self, deliver: Callable[[Report], None]) -> None:
        raise NotImplementedError

    def stop(self, timeout: float) -> None:
        raise NotImplementedError

    def read(self, timeout: float) -> Content | Missing:
        assert timeout > 0
        if self.lagging:
            self.lagging -= 1
            return Content(self.before, str(hash(self.before)))
        return Content(self.text, str(hash(self.text)))

    def gray(self, timeout: float) -> Gray | None:
        assert timeout > 0
        return None

    def write(
        self,
        text: bytes,
        expected_version: str | None,
        timeout: float,
        note: ChangeNote = NO_NOTE,  # noqa: ARG002 - the signature of every source
    ) -> str:
        assert timeout > 0
        if self.ways:
            self.ways.pop(0)(self, text)
        if expected_version != str(hash(self.text)):
            raise WriteConflict("somebody else")
        self.text = text
        return str(hash(text))
