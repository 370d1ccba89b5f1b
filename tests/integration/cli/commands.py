"""`dc-sidecar` as people and scripts run it: as a process, with or without a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

_COMMAND = (sys.executable, "-m", "sidecar")


SETTINGS: dict[str, str] = {}
"""The variables of ours that every command gets."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what is ours, and with more."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DC_SIDECAR_")}
    return {**ours, **SETTINGS, **(more or {})}


def begin(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command without a terminal."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*_COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, env=environment(env)
    )


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(env),
        timeout=120,
        check=False,
    )


class Terminal:
    """A command at a terminal of its own, 80 columns wide: what it shows is waited for, and it is typed to."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.shown = ""
        master, slave = pty.openpty()
        self._master = master
        self._seen = 0
        self._process = subprocess.Popen(
            [*_COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment({"TERM": "xterm", "COLUMNS": "80", **(env or {})}),
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def until(self, text: str, within: float = 30.0) -> None:
        """Wait until a text is shown, behind the one that was waited for before."""
        deadline = time.monotonic() + within
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < deadline, f"not shown: {text!r}; shown:\n{self.shown}"
            assert self._read(0.1) or self._process.poll() is None, f"ended without {text!r}:\n{self.shown}"
        self._seen = self.shown.index(text, self._seen) + len(text)

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Interrupt the command as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        while self._read(0.05) or self._process.poll() is None:
            pass
        return self._process.wait()

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)
