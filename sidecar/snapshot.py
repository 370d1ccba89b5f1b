"""The snapshot: the last good document on disk, for a start while the config center is down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from sidecar.atomic_file import Saver, replace_file
from sidecar.errors import SnapshotUnusable
from sidecar.state_file import read_state_file
from sidecar.view import View

_FORMAT = 1
_NAME = "snapshot"
_MAX_HEADER = 128 * 1024
# As many versions of a key are kept as an operator may go through between two starts; 64 MD5s are 2 KiB.
_MAX_VERSIONS = 64
_MAX_VERSION = 256


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document's text, and when it was put in force (Unix nanoseconds).

    `versions` are the source's names for the texts that were in force, newest last: a lagging member of the config
    center does not bring an earlier one back after a restart.
    """

    text: bytes
    applied_at_ns: int
    versions: tuple[str, ...] = ()


def load(folder: Path, source: str, *, max_document_size: int = 1024 * 1024) -> Snapshot | None:
    """Return the snapshot of a source, None if there is none. Raises SnapshotUnusable."""
    path = folder / _NAME
    try:
        header, _, text = read_state_file(path, max_bytes=_MAX_HEADER + max_document_size).partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotUnusable(f"{path}: {error.strerror}") from error
    try:
        facts = json.loads(header)
        snapshot = Snapshot(text, int(facts["applied_at_ns"]), _versions(facts.get("versions")))
        whole = facts["format"] == _FORMAT and facts["sha256"] == sha256(text).hexdigest()
        of = str(facts["source"])
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotUnusable(f"{path} is no snapshot") from error
    if not whole:
        raise SnapshotUnusable(f"{path} is torn or of another version of dc-sidecar")
    if of != source:
        raise SnapshotUnusable(f"{path} is of another source, {of}")
    return snapshot


def save(folder: Path, source: str, snapshot: Snapshot) -> None:
    """Replace the snapshot atomically. Raises OSError."""
    header = {
        "format": _FORMAT,
        "source": source,
        "sha256": sha256(snapshot.text).hexdigest(),
        "applied_at_ns": snapshot.applied_at_ns,
        "versions": snapshot.versions,
    }
    replace_file(folder, _NAME, json.dumps(header).encode() + b"\n" + snapshot.text)


def _versions(found: object) -> tuple[str, ...]:
    """Return the versions in a header. Raises TypeError."""
    if not isinstance(found, list | None) or not all(isinstance(version, str) for version in found or ()):
        raise TypeError("versions: expected a list of strings")
    return tuple(found or ())[-_MAX_VERSIONS:]


class SnapshotStore(Saver[Snapshot]):
    """Saves each document that is taken from the source, with the versions of those before it."""

    def __init__(self, folder: Path, source: str) -> None:
        loss = "the snapshot could not be saved: a start while the config center is down would use an older one"
        super().__init__("snapshot", partial(save, folder, source), loss=f"{loss} ({folder})")
        self._versions: tuple[str, ...] = ()

    def resume(self, versions: Sequence[str]) -> None:
        """Continue after these versions, those of the snapshot that was loaded; before `start`."""
        self._versions = tuple(versions)

    def changed(self, before: View, after: View) -> None:
        """Save the document of a new view; a listener of the table."""
        confirmed = before.status.from_snapshot and not after.status.from_snapshot
        source = after.source
        if source and not after.status.from_snapshot and (source is not before.source or confirmed):
            version = after.status.version
            if len(version) <= _MAX_VERSION:
                earlier = (each for each in self._versions if each != version)
                self._versions = (*earlier, version)[-_MAX_VERSIONS:]
            self.put(Snapshot(source.text, after.status.applied_at_ns, self._versions))
