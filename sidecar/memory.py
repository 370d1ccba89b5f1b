"""The memory that this process may use, as its control group limits it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# Without a limit cgroup v1 has the largest number of whole pages.
_UNLIMITED = 2**62


def group_limit(own: Path = _OWN, root: Path = _ROOT) -> int | None:
    """Return the lowest memory limit of this process's control group and those around it, in bytes; None without one.

    Reads both versions of control groups; within a container its own group is the root.
    """
    found = []
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                folder, name = root, "memory.max"
            elif "memory" in controllers.split(","):
                folder, name = root / "memory", "memory.limit_in_bytes"
            else:
                continue
            parts = Path(path.lstrip("/")).parts
            for depth in range(len(parts), -1, -1):
                with suppress(OSError, ValueError):
                    found.append(int((folder.joinpath(*parts[:depth]) / name).read_text(encoding="ascii")))
    return min((limit for limit in found if 0 < limit < _UNLIMITED), default=None)


def process_share(limit: int | None, workers: int) -> int | None:
    """Return the bytes that each process of a sidecar may use, of `limit` or else the control group's; None for all.

    With several worker processes the first process, which serves no calls, takes one share too.
    """
    whole = limit or group_limit()
    return None if whole is None else whole // (1 if workers == 1 else workers + 1)
