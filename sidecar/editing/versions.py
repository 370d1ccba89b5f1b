"""Earlier documents, and which of them a rollback restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.errors import ChangeRefused
from sidecar.routing.document import revision_of
from sidecar.routing.zone import show_time


@dataclass(frozen=True, slots=True)
class Version:
    """A text, when it was written (Unix nanoseconds), and by whom ("" if unknown)."""

    text: bytes
    at_ns: int
    by: str = ""

    @property
    def revision(self) -> str:
        """The revision of the text."""
        return revision_of(self.text)


class VersionHistory(Protocol):
    """The earlier documents of a key, from its config center or from a sidecar's record."""

    def versions(self, limit: int, timeout: float) -> Sequence[Version]:
        """Return the newest `limit` documents, newest first; the current one may be among them.

        Raises SourceError where they cannot be read within `timeout` seconds.
        """
        ...


def chosen(versions: Sequence[Version], current: str, revision: str | None) -> Version:
    """Return the document of a revision, which may be shortened, or else the newest one that is not `current`.

    Raises ChangeRefused where there is none, and where a shortened revision is ambiguous.
    """
    if revision is None:
        version = next((version for version in versions if version.revision != current), None)
        if version is None:
            raise ChangeRefused("there is no earlier document: write one with `dc-sidecar put FILE`")
        return version
    found = {version.revision: version for version in reversed(versions) if version.revision.startswith(revision)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise ChangeRefused(f"{revision} is ambiguous ({', '.join(found)}): give more digits")
    known = ", ".join(f"{version.revision} ({show_time(version.at_ns)})" for version in versions[:5])
    raise ChangeRefused(f"there is no document of revision {revision}; the newest are {known or 'none'}")
