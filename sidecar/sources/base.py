"""The source port: one key of a config center, watched by the sidecar and written by the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Gray:
    """A gray version of the key: the config center serves it to some clients in place of the ordinary one.

    `rule` is the config center's name for it, such as `beta`. `clients` are those that get it, as the config center
    names them (addresses, labels); empty where they cannot be read.
    """

    rule: str
    clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """The key holds this text; `version` is the source's own name for it: a digest, an MD5, an mzxid.

    `gray` is set where the text is a gray version, None where it is the ordinary one.
    """

    text: bytes
    version: str
    gray: Gray | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """The key does not exist or is empty; `reason` is one line for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The config center does not answer; `reason` says why and what to check."""

    reason: str


Report = Content | Missing | Unreachable


@dataclass(frozen=True, slots=True)
class Author:
    """The user and network address that a change came from, each "" where the config center does not know it."""

    user: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change of the key, made at `at_ns` (Unix nanoseconds).

    `version` is the source's name for the text that it put in force, `text` that text; both are None for a deletion,
    and where the config center no longer has the text.
    """

    version: str | None
    text: bytes | None
    at_ns: int
    author: Author = Author()


class History(Protocol):
    """The earlier versions of a key, as its config center remembers them."""

    def entries(self, limit: int, timeout: float) -> Sequence[HistoryEntry]:
        """Return the newest `limit` changes, newest first. Raises SourceError within `timeout` seconds."""
        ...

    def author(self, version: str, timeout: float) -> Author | None:
        """Return who wrote a version, None if it is not among the newest. Raises SourceError within `timeout` seconds.

        It is asked about each new version, so it costs a few requests at most.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChangeNote:
    """Who makes a change, and why; each "" where that was not said."""

    by: str = ""
    reason: str = ""
    ticket: str = ""


NO_NOTE = ChangeNote()


class Source(Protocol):
    """One watched key.

    Between `start` and `stop` a source reports what it reads, from threads of its own: `Content` or `Missing` after
    each read, also of an unchanged key, since that is how freshness is known; `Unreachable` after a failed one. Reports
    come in order, and never with an older text after a newer one. A source survives every fault of its server without a
    busy loop, and raises nothing from its threads. `deliver` only enqueues the report: it returns at once and never
    raises.
    """

    @property
    def url(self) -> str:
        """The key's URL, without credentials: it is logged and shown."""
        ...

    @property
    def history(self) -> History | None:
        """The key's earlier versions; None where the config center does not keep any."""
        ...

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Start watching; returns at once, also while the config center is down."""
        ...

    def stop(self, timeout: float) -> None:
        """Stop watching within `timeout` seconds, whatever the server does; nothing is delivered afterwards."""
        ...

    def read(self, timeout: float) -> Content | Missing:
        """Read the key's ordinary version once, without `start`: the one that `write` replaces.

        Raises SourceError if there is no answer within `timeout` seconds.
        """
        ...

    def gray(self, timeout: float) -> Gray | None:
        """Return the gray version in force beside the ordinary one, for any clients; None where there is none.

        Raises SourceError within `timeout` seconds.
        """
        ...

    def write(self, text: bytes, expected_version: str | None, timeout: float, note: ChangeNote = NO_NOTE) -> str:
        """Replace the version that `read` returned (None: the key must not exist yet); return the new version.

        `note` is for config centers that keep one beside a version. Raises WriteConflict, with nothing written, if the
        key is no longer at `expected_version`; ChangeRefused, with nothing written, where the config center's own rules
        forbid it; ConcurrentWrite if someone else's write was overwritten; SourceError if it cannot be written, or if
        it is unknown whether it was.
        """
        ...


@runtime_checkable
class ResumableSource(Protocol):
    """A source whose config center may answer with an earlier text, as a lagging member of a cluster does.

    Optional: a source without it takes the first text that it reads after a start.
    """

    def resume(self, versions: Sequence[str]) -> None:
        """Before `start`: these versions were in force before, newest last; an earlier one needs a confirmation.

        They come from a file, so a value that is no version of this source is ignored.
        """
        ...
