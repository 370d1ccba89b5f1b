"""Resolves a path step by step, through symbolic links and mounted ConfigMaps."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

_MAX_LINKS = 40
"""How many symbolic links the kernel follows before it gives up."""


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """The entries that a path goes through, in order, and the directories in which a change can redirect it."""

    entries: tuple[Path, ...]
    directories: frozenset[Path]


def resolve_path(path: Path) -> ResolvedPath:
    """Resolve an absolute path as the kernel does, link by link, to its file or to the first missing entry.

    The directories are those that hold a symbolic link on the way, the last one, and its parent, in which it could be
    replaced as a whole.
    """
    here = Path("/")
    rest = [*reversed(path.parts)]
    entries: list[Path] = []
    directories: set[Path] = set()
    links = 0
    while rest:
        name = rest.pop()
        if name == ".." or name.startswith("/"):
            here = here.parent if name == ".." else Path("/")
            continue
        entry = here / name
        entries.append(entry)
        try:
            mode = entry.lstat().st_mode
            target = entry.readlink() if stat.S_ISLNK(mode) else None
        except OSError:
            break
        if target is not None:
            links += 1
            if links > _MAX_LINKS:
                break
            directories.add(here)
            rest.extend(reversed(target.parts))
        elif stat.S_ISDIR(mode):
            here = entry
        else:
            break
    return ResolvedPath(tuple(entries), frozenset(directories | {here, here.parent}))
