"""The earlier documents of a key: by its config center, by a sidecar's record, or by what was written from here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.atomic_file import replace_file
from sidecar.editing.meta import last_change
from sidecar.editing.versions import Version, VersionHistory
from sidecar.errors import SourceError
from sidecar.routing.scalars import SECOND_NS
from sidecar.sources.base import History, Source

if TYPE_CHECKING:
    from sidecar.editing.draft import Draft

# How many documents of a key are remembered, of how many bytes together, and of how many keys.
_KEPT = 10
_KEPT_BYTES = 4 << 20
_KEYS = 50


def history_of(source: Source, state_dir: Path | None, memory: ChangeMemory) -> VersionHistory | None:
    """Return the history with a source's earlier documents; None where there is none."""
    if source.history is not None:
        return _CenterHistory(source.history)
    if state_dir is not None:
        return _SidecarHistory(state_dir, source.url)
    return memory if memory.versions(1, 0.0) else None


class ChangeMemory:
    """The documents that this user wrote to a key from this machine, and the one that was there before.

    Kept below $XDG_STATE_HOME (~/.local/state) for the user alone: so a change can be undone where the config center
    keeps no history. Where it cannot be kept, that is all that is lost.
    """

    def __init__(self, url: str) -> None:
        scheme, _, path = url.partition(":")
        # Relative paths of files name another key in each folder.
        self._url = f"file:{Path(path).absolute()}" if scheme == "file" else url
        home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        self._folder = Path(home).expanduser() / "dc-sidecar" / "changes"
        self._file = hashlib.sha256(self._url.encode()).hexdigest()[:32] + ".json"

    def versions(self, limit: int, timeout: float) -> Sequence[Version]:  # noqa: ARG002 - a file needs none
        """Return the newest documents, newest first; none where they cannot be read."""
        try:
            kept = json.loads((self._folder / self._file).read_bytes())
            if kept["key"] != self._url:
                return []
            return [Version(one["text"].encode(), one["at_ns"], one["by"]) for one in kept["versions"][:limit]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def add(self, draft: Draft) -> None:
        """Remember a change that was written."""
        found = [Version(draft.new.text, draft.meta.at_ns, draft.meta.by)]
        before = draft.current.document
        if before is not None and draft.current.text is not None:
            by = _text(before.meta, "by")
            found.append(Version(draft.current.text, last_change(before) or 0, by))
        found += self.versions(_KEPT, 0.0)
        kept: list[dict[str, Any]] = []
        seen: set[str] = set()
        size = 0
        for version in found:
            if version.revision in seen:
                continue
            seen.add(version.revision)
            size += len(version.text)
            if size > _KEPT_BYTES or len(kept) == _KEPT:
                break
            kept.append({"text": version.text.decode(), "at_ns": version.at_ns, "by": version.by})
        content = json.dumps({"key": self._url, "versions": kept}, ensure_ascii=False).encode()
        with suppress(OSError):
            replace_file(self._folder, self._file, content)
            self._prune()

    def _prune(self) -> None:
        files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_KEYS:]:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _CenterHistory:
    """The config center's own history."""

    history: History

    def versions(self, limit: int, timeout: float) -> Sequence[Version]:
        return [
            Version(entry.text, entry.at_ns // SECOND_NS * SECOND_NS, entry.author.user)
            for entry in self.history.entries(limit, timeout)
            if entry.text is not None
        ]


@dataclass(frozen=True, slots=True)
class _SidecarHistory:
    """The record of changes that a sidecar keeps."""

    state_dir: Path
    source: str

    def versions(self, limit: int, timeout: float) -> Sequence[Version]:  # noqa: ARG002 - a file needs none
        # Loaded only where the audit is read: completion has no time for it.
        from sidecar.audit.journal_reader import FOLDER, documents  # noqa: PLC0415

        folder = self.state_dir / FOLDER
        try:
            found = [*islice(documents(folder, self.source), limit)]
        except OSError as error:
            raise SourceError(
                f"the record in {folder} cannot be read ({error.strerror}): check --state-dir and its permissions"
            ) from error
        return [Version(one.text.encode(), one.at_ns, _text(one.meta, "by")) for one in found]


def _text(meta: Any, key: str) -> str:  # noqa: ANN401 - `meta` is free
    value = meta.get(key, "")
    return value if isinstance(value, str) else ""
