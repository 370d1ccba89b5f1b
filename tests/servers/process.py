"""A real server as a process of a test: started, waited for, killed, frozen, thawed, and never left behind."""

from __future__ import annotations

import atexit
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from tests.waiting import pauses

LOOPBACK = "127.0.0.1"

# Told of each server's start and end on its standard input; when that closes, because this process ended in whatever
# way, SIGKILL included, it kills the servers that are left.
_GUARD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
left = set()
for line in sys.stdin:
    (left.add if line[0] == "+" else left.discard)(int(line[1:]))
for pid in left:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
_guard: subprocess.Popen[str] | None = None

_PORTS = range(12_000, 30_000)
_MOST_WORKERS = 8
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _MOST_WORKERS
_own_ports = _PORTS[_worker * len(_PORTS) // _MOST_WORKERS : (_worker + 1) * len(_PORTS) // _MOST_WORKERS]
# Other processes of the same worker begin elsewhere.
_first = random.randrange(len(_own_ports))
_in_turn = itertools.cycle([*_own_ports[_first:], *_own_ports[:_first]])
# Given to servers that may not have taken them yet.
_given: deque[int] = deque(maxlen=200)
# Referred to until the end: Popen warns of a process that nobody waits for.
_left: list[subprocess.Popen[bytes] | psutil.Process] = []


def free_port(*offsets: int) -> int:
    """Return a port P that is free on loopback, and so is P + each offset.

    Below the range that the kernel hands out to clients, so that a server finds its port free again at its restart.
    Each pytest worker has ports of its own and takes them in turn: between this look and the server's start another
    server would take the port otherwise.
    """
    for _ in range(len(_own_ports)):
        port: int = next(_in_turn)
        wanted = [port + offset for offset in (0, *offsets)]
        if all(each in _own_ports and each not in _given and _is_free(each) for each in wanted):
            _given.extend(wanted)
            return port
    raise AssertionError(f"no free ports on loopback (with offsets {offsets})")


def answers(port: int, question: bytes = b"", expected: bytes = b"") -> bool:
    """Return whether a server on this port takes a connection and answers `question`, if any, with `expected` in it."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            if question:
                connection.sendall(question)
                return expected in connection.recv(4096)
            return True
    except OSError:
        return False


class ServerProcess:
    """One server: `start` returns when `ready` is true, and may be called again after `kill` or `terminate`.

    What it prints goes to `log`, the end of which is in the message when it does not come up. As a context manager it
    is started, and killed at the end. It does not outlive the test session, however that ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        log: Path,
        within: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._command = list(command)
        self._ready = ready
        self._within = within
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | psutil.Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        process = self._process
        if isinstance(process, psutil.Process):
            return process.is_running()
        return process is not None and process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it; `wait=False` returns at once, `wait_ready` then waits."""
        assert not self.running, "the server runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._env
            )
        _tell_guard("+", self._process.pid)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + self._within
        looks = pauses(longest=0.2)
        while not self._ready():
            if not self.running or time.monotonic() > deadline:
                ended = self._process.poll() if isinstance(self._process, subprocess.Popen) else None
                state = f"not ready within {self._within:g} s" if ended is None else f"ended with status {ended}"
                self.kill()
                raise AssertionError(f"{self._command[-1]}: {state}; the end of {self.log}:\n{self.log_tail()}")
            time.sleep(next(looks))

    def kill(self) -> None:
        """Kill it as a crash would (SIGKILL, also when frozen); nothing happens where it is not running."""
        self._end(signal.SIGKILL, within=20)

    def terminate(self, within: float = 20) -> None:
        """Ask it to end (SIGTERM); kill it after `within` seconds."""
        self._end(signal.SIGTERM, within=within)

    def adopt(self, pid: int) -> None:
        """Take over a server that another process of the session has started."""
        self._process = psutil.Process(pid)
        _tell_guard("+", pid)

    def leave(self) -> None:
        """Let it run: a process that has adopted it will end it."""
        process, self._process = self._process, None
        if process is not None:
            _left.append(process)
            _tell_guard("-", process.pid)

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP): its connections stay open, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:]

    def _end(self, how: signal.Signals, within: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        if isinstance(process, psutil.Process):  # the process that started it waits for its end
            _tell_guard("-", process.pid)
            return
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
        _tell_guard("-", process.pid)


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _tell_guard(event: str, pid: int) -> None:
    global _guard  # noqa: PLW0603 - one for the whole session, made when the first server starts
    if _guard is None:
        command = [sys.executable, "-S", "-c", _GUARD]
        _guard = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        atexit.register(_end_guard, _guard)
    assert _guard.stdin is not None
    _guard.stdin.write(f"{event}{pid}\n")
    _guard.stdin.flush()


def _end_guard(guard: subprocess.Popen[str]) -> None:
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(5)
