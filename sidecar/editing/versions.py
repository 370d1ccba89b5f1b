"""Documents that were in force before, wherever they are remembered, and which of them a rollback means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.errors import ChangeRefused
from sidecar.routing.document import revision_of
from sidecar.routing.scalars import format_time


@dataclass(frozen=True, slots=True)
class Version:
    """A text that was written at a time (Unix nanoseconds), and by whom, "" where that is not known."""

    text: bytes
    at_ns: int
    by: str = ""

    @property
    def revision(self) -> str:
        """Its revision."""
        return revision_of(self.text)


class VersionHistory(Protocol):
    """Who remembers the documents of a key: a config center itself, or a record of changes."""

    def formers(self, limit: int, timeout: float) -> Sequence[Version]:
        """Return the newest `limit` documents, newest first, the present one among them if it is remembered.

        Raises SourceError where they cannot be read within `timeout` seconds.
        """
        ...


def chosen(formers: Sequence[Version], present: str, revision: str | None) -> Version:
    """Return the document to go back to: of a revision (the beginning will do), else the newest that is not `present`.

    Raises Refused where there is none, or where several begin so.
    """
    if revision is None:
        former = next((former for former in formers if former.revision != present), None)
        if former is None:
            raise ChangeRefused("no document is remembered that was in force before this one")
        return former
    found = {former.revision: former for former in reversed(formers) if former.revision.startswith(revision)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise ChangeRefused(f"{revision} is the beginning of {' and '.join(found)}: say more of the one you mean")
    known = ", ".join(f"{former.revision} ({format_time(former.at_ns)})" for former in formers[:5])
    raise ChangeRefused(f"no remembered document has the revision {revision}; the newest are {known or 'none'}")
