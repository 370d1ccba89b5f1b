"""Limits the memory of a process: by a control group if one can be created, else by sampling and SIGKILL."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_LEAVES_WITHIN_S = 10.0
_numbers_of_groups = itertools.count(1)


class MemoryGroup(Protocol):
    """Limits the memory of a process and its children."""

    kind: str

    def enter(self) -> str:
        """Return the shell command by which a process enters the group."""

    def used(self, pid: int) -> int:
        """Return the bytes that cannot be reclaimed: anonymous and kernel memory."""

    def exceeded(self, pid: int) -> bool:
        """Return whether a process was killed at the limit."""

    def remove(self) -> None:
        """Remove the group; its processes have ended."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process in bytes, its threads and open descriptors."""

    rss: int
    peak_rss: int
    anonymous: int
    threads: int
    descriptors: int


def memory_of(pid: int) -> Memory:
    """Return the figures of a process. Raises OSError if it has ended."""
    found = {"VmRSS": 0, "VmHWM": 0, "RssAnon": 0, "Threads": 0}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0]) * (1 if name == "Threads" else 1024)
    if not found["VmRSS"]:
        raise ProcessLookupError(errno.ESRCH, "it has ended", str(pid))
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - called twenty times a second
    return Memory(found["VmRSS"], found["VmHWM"], found["RssAnon"], found["Threads"], descriptors)


class CgroupV1:
    """A group of the memory controller's hierarchy of cgroup v1."""

    kind = "cgroup v1"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls, limit: int, name: str) -> CgroupV1 | None:
        """Return a new group, None if there is no such hierarchy or no permission."""
        folder = _V1 / name
        if not _made(folder):
            return None
        try:
            (folder / "memory.limit_in_bytes").write_text(str(limit), encoding="ascii")
        except OSError:
            folder.rmdir()
            return None
        # No swap, if the kernel accounts for it.
        with suppress(OSError):
            (folder / "memory.memsw.limit_in_bytes").write_text(str(limit), encoding="ascii")
        return cls(folder)

    def enter(self) -> str:
        """Return the shell command."""
        return f"echo 0 > {self._folder}/cgroup.procs"

    def used(self, pid: int) -> int:  # noqa: ARG002 - the group knows its processes
        """Return anonymous and kernel memory."""
        stat = _numbers(self._folder / "memory.stat")
        kernel = _number(self._folder / "memory.kmem.usage_in_bytes")
        return stat.get("total_rss", 0) + kernel + _number(self._folder / "memory.kmem.tcp.usage_in_bytes")

    def exceeded(self, pid: int) -> bool:  # noqa: ARG002
        """Return whether a process was killed at the limit."""
        return _numbers(self._folder / "memory.oom_control").get("oom_kill", 0) > 0

    def remove(self) -> None:
        """Remove the group."""
        _remove(self._folder)


class CgroupV2:
    """A group of the unified hierarchy, below our nearest ancestor that delegates the memory controller."""

    kind = "cgroup v2"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls, limit: int, name: str, *, roots: tuple[Path, ...] = _V2, own: str | None = None) -> CgroupV2 | None:
        """Return a new group, None if the memory controller is not delegated to us."""
        own = _own_group() if own is None else own
        for root in roots:
            if not (root / "cgroup.controllers").exists():
                continue
            here = root / own.lstrip("/")
            for parent in (here, *here.parents):
                found = cls._below(parent, limit, name)
                if found is not None:
                    return found
                if parent == root:
                    break
        return None

    @classmethod
    def _below(cls, parent: Path, limit: int, name: str) -> CgroupV2 | None:
        folder = parent / name
        if not _made(folder):
            return None
        try:
            if not (folder / "memory.max").exists():
                # EBUSY if the parent holds processes; they are not ours to move.
                (parent / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
            (folder / "memory.max").write_text(str(limit), encoding="ascii")
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            return None
        with suppress(OSError):
            (folder / "memory.swap.max").write_text("0", encoding="ascii")
        return cls(folder)

    def enter(self) -> str:
        """Return the shell command."""
        return f"echo 0 > {self._folder}/cgroup.procs"

    def used(self, pid: int) -> int:  # noqa: ARG002 - the group knows its processes
        """Return anonymous and kernel memory."""
        stat = _numbers(self._folder / "memory.stat")
        return stat.get("anon", 0) + stat.get("kernel", 0) + stat.get("sock", 0)

    def exceeded(self, pid: int) -> bool:  # noqa: ARG002
        """Return whether a process was killed at the limit."""
        return _numbers(self._folder / "memory.events").get("oom_kill", 0) > 0

    def remove(self) -> None:
        """Remove the group."""
        _remove(self._folder)


class SampledGroup:
    """Without a control group: `used` kills the process when its resident memory exceeds the limit.

    RLIMIT_AS limits address space, which thread stacks take too. It is set far above, to protect the machine.
    """

    kind = "rlimit and sampling"

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._killed = False

    def enter(self) -> str:
        """Return the shell command."""
        return f"ulimit -v {8 * 1024 * 1024}"

    def used(self, pid: int) -> int:
        """Return the resident memory; kill the process if that is above the limit."""
        try:
            memory = memory_of(pid)
        except OSError:
            return 0
        if memory.rss > self._limit:
            self._killed = True
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return memory.rss

    def exceeded(self, pid: int) -> bool:  # noqa: ARG002
        """Return whether the process was killed."""
        return self._killed

    def remove(self) -> None:
        """Do nothing."""


def make_group(limit: int, kind: str = "auto") -> MemoryGroup:
    """Return a group with a limit in bytes; `kind` is auto, v2, v1 or rlimit. Raises OSError if it cannot be made."""
    name = f"dc-sidecar-attack-{next(_numbers_of_groups)}-{os.getpid()}"
    _sweep()
    if kind in ("auto", "v2"):
        two = CgroupV2.make(limit, name)
        if two is not None:
            return two
    if kind in ("auto", "v1"):
        one = CgroupV1.make(limit, name)
        if one is not None:
            return one
    if kind in ("v1", "v2"):
        raise OSError(errno.EPERM, f"no group of cgroup {kind} can be made here: try --group auto")
    return SampledGroup(limit)


def _sweep() -> None:
    """Remove empty groups of runs that were killed."""
    for root in (_V1, *_V2):
        for folder in root.glob("dc-sidecar-attack-*"):
            pid = folder.name.rpartition("-")[2]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                with suppress(OSError):
                    folder.rmdir()


def _own_group() -> str:
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return path
    return "/"


def _made(folder: Path) -> bool:
    if not folder.parent.is_dir():
        return False
    try:
        folder.mkdir()
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _numbers(path: Path) -> dict[str, int]:
    found = {}
    with suppress(OSError):
        for line in path.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if value.isdigit():
                found[name] = int(value)
    return found


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _LEAVES_WITHIN_S
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
