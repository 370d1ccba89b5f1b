"""The smallest config center there is, on a Unix socket, and `serve` with a source that follows it.

It sends what there is as a line of JSON to whoever connects, and again every tenth of a second: silence is a fault.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import sidecar.sources
from sidecar.sources.base import Report
from sidecar.testing import FakeSource

_BEAT_S = 0.1
_SILENCE_S = 1.0


class FakeCenter:
    """What the tests break: it can be away, or silent, and its key can be replaced and removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text: str | None = None
        self.silent = False
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def kill(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            self.path.unlink()

    def _serve(self, listener: socket.socket) -> None:
        listener.settimeout(_BEAT_S)
        connections: list[socket.socket] = []
        while self._listener is listener:
            with contextlib.suppress(OSError):
                connections.append(listener.accept()[0])
            for connection in connections if not self.silent else ():
                with contextlib.suppress(OSError):
                    connection.sendall(json.dumps(self.text).encode() + b"\n")
        for connection in connections:
            connection.close()


class Follower(FakeSource):
    """The fake source, told what to report by a FakeCenter."""

    def __init__(self, url: str) -> None:
        super().__init__(url=url)
        self._path = url.removeprefix("fake:")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self, deliver: Callable[[Report], None]) -> None:
        self.lose("not connected yet")
        super().start(deliver)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        super().stop(timeout)
        self._stopping.set()
        self._thread.join(timeout)

    def _follow(self) -> None:
        while not self._stopping.wait(_BEAT_S):
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(_SILENCE_S)
                    connection.connect(self._path)
                    with connection.makefile() as lines:
                        self._obey(lines.readline)
            except OSError as error:
                self.lose(f"{self._path}: {error}")

    def _obey(self, next_line: Callable[[], str]) -> None:
        while not self._stopping.is_set():
            line = next_line()
            if not line:
                raise ConnectionResetError("the center ended the connection")
            text = json.loads(line)
            if text is None:
                self.remove()
            else:
                self.put(text)


def open_source(url: str, options: Mapping[str, str]) -> Follower:  # noqa: ARG001 - every source is opened alike
    """Return the source of `fake:/path/of/the/socket`."""
    return Follower(url)


if __name__ == "__main__":
    from sidecar.__main__ import main

    sidecar.sources._MODULES["fake"] = "tests.integration.failures.fake_center"
    sys.exit(main())
