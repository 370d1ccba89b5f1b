"""Runs a command as a container runtime would: own mounts, processes and network, a read-only root, a user, a limit."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually

ROOT = os.geteuid() == 0
# What stands in for the base image: the machine's own system and Python, read-only.
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr")
CONFIGURATION = (
    "/etc/ssl",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ld.so.cache",
    "/etc/alternatives",
)
PYTHON = Path(sys.base_prefix)
BASE_PATH = f"{PYTHON}/bin:/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine, and where the container has it."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What to run: words, environment, mounts, the user, and the limit of memory in bytes."""

    command: Sequence[str]
    env: Mapping[str, str]
    mounts: Sequence[Mount]
    uid: int = 0
    gid: int = 0
    groups: Sequence[int] = ()
    read_only: bool = True
    memory: int | None = None
    # The process whose network it shares; the machine's own where there is none.
    network_of: int | None = None
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="container-")))


def require_namespaces() -> None:
    """Skip the test where the kernel gives no namespaces; under CI=true that is an error."""
    words = ["unshare", *_rootless(), "--mount", "--pid", "--net", "--fork", "true"]
    done = subprocess.run(words, capture_output=True, check=False) if shutil.which("unshare") else None
    if done is not None and done.returncode == 0:
        return
    what = "no namespaces here (unshare --mount --pid --net fails), which the tests need to play a container"
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(f"NOT TESTED: {what}")


class Running:
    """A container that was started. `pid` is that of its first process, as this machine sees it."""

    def __init__(self, container: Container, log: Path) -> None:
        self.container = container
        self.log = log
        self._cgroup = _make_cgroup(container.memory) if container.memory else None
        words = [*_join(container.network_of), "unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c"]
        if container.network_of is None:
            words[1:1] = _rootless()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*words, _script(container, self._cgroup)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process; raises where it is not there (any more)."""
        return psutil.Process(self._process.pid).children()[0].pid

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal to its first process; nothing happens where that has ended."""
        try:
            os.kill(self.pid, number)
        except (psutil.NoSuchProcess, ProcessLookupError, IndexError):
            return

    def wait(self, within: float) -> int:
        """Return the exit status; fail where it does not come in time."""
        return self._process.wait(within)

    def run(self, command: Sequence[str], within: float) -> bool:
        """Run a command inside it, as an exec probe does; return whether it ended with 0 in time."""
        container = self.container
        try:
            words = [
                "nsenter",
                "--target",
                str(self.pid),
                "--mount",
                "--pid",
                "--net",
                "--root",
                "--wd",
                *_user_of_target(),
            ]
            words += [*_as_user(container), *_env(container.env), *command]
            return subprocess.run(words, capture_output=True, timeout=within, check=False).returncode == 0
        except (subprocess.TimeoutExpired, psutil.NoSuchProcess, IndexError):
            return False

    def peak(self) -> int:
        """Return the most memory that its first process had, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def remove(self) -> None:
        """End it, if need be, and leave nothing behind."""
        self.signal(9)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(20)
        if self._cgroup is not None:
            eventually(partial(_removed, self._cgroup), "the control group is empty")
        shutil.rmtree(self.container.folder, ignore_errors=True)


def _script(container: Container, cgroup: Path | None) -> str:
    """Return the shell's words that make the container's root, go there, drop all rights and become the command."""
    root = str(container.folder)
    lines = [
        "set -e",
        f"mount -t tmpfs -o mode=755 tmpfs {root}",
        f"mkdir {root}/proc {root}/dev {root}/etc {root}/run",
    ]
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    own = [Mount(Path(path), path, read_only=True) for path in CONFIGURATION if Path(path).exists()]
    for path in SYSTEM:
        if Path(path).is_symlink():
            lines.append(f"cp -P {path} {root}{path}")
        elif Path(path).is_dir():
            own.append(Mount(Path(path), path, read_only=True))
    if not PYTHON.is_relative_to("/usr"):
        own.append(Mount(PYTHON, str(PYTHON), read_only=True))
    for mount in (*own, *container.mounts):
        target = shlex.quote(root + mount.target)
        make = f"mkdir -p {target}" if mount.source.is_dir() else f"mkdir -p $(dirname {target}) && touch {target}"
        lines += [make, f"mount --rbind {shlex.quote(str(mount.source))} {target}"]
        if mount.read_only:
            lines.append(f"mount -o remount,bind,ro {target}")
    if container.read_only:
        lines.append(f"mount -o remount,bind,ro {root}")
    if cgroup is not None:
        lines.append(f"echo 0 > {cgroup}/cgroup.procs")
    words = ["chroot", root, *_as_user(container), *_env(container.env), *container.command]
    return "\n".join([*lines, "exec " + shlex.join(words)])


def _as_user(container: Container) -> list[str]:
    """Return the words that give up every right, and become the user where this machine's root can."""
    if container.uid == 0:
        return []
    words = ["/usr/bin/setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    if ROOT:
        groups = ",".join(map(str, container.groups))
        words += [f"--reuid={container.uid}", f"--regid={container.gid}"]
        words.append(f"--groups={groups}" if groups else "--clear-groups")
    return words


def _env(env: Mapping[str, str]) -> list[str]:
    return ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in env.items())]


def _rootless() -> list[str]:
    return [] if ROOT else ["--user", "--map-root-user"]


def _user_of_target() -> list[str]:
    return [] if ROOT else ["--user", "--preserve-credentials"]


def _join(network_of: int | None) -> list[str]:
    return [] if network_of is None else ["nsenter", "--target", str(network_of), "--net", *_user_of_target()]


def _make_cgroup(memory: int) -> Path | None:
    """Return a new control group with this limit; None where this machine lets us make none."""
    name = f"dc-sidecar-test-{uuid.uuid4().hex[:8]}"
    for parent, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(parent) / name
        try:
            group.mkdir()
            (group / limit).write_text(str(memory), encoding="ascii")
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        return group
    return None


def _removed(group: Path) -> bool:
    """Remove a control group; return whether the last process had left it."""
    try:
        group.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
