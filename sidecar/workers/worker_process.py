"""The sidecar's end of one worker process: the process, what it was told, and what it still owes an answer to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import sidecar
from sidecar.workers.messages import (
    Ack,
    ActivateView,
    Command,
    FrameDecoder,
    LoadDocument,
    StartListening,
    WorkerReport,
    frame,
)

_RECEIVED = 1 << 18
# How long a worker process may take to answer: an order, a document by its bytes, and the first one, after its imports.
_ORDER_S = 3.0
_BYTES_PER_S = 200_000
_START_S = 30.0


class WorkerProcess:
    """A worker process that is started with it; all methods are for one thread, and none waits. Raises OSError.

    It belongs to the `member`s once it has a view in force: from then on the others wait for it, and it is told to
    listen. It is `serving` once it listens. `applied` is the number of the last view that it put in force, -1 for none;
    `quiet` is for whoever counts how long it has said nothing.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.socket = ours
        with theirs:
            # A process made anew: threads, gRPC's above all, do not live through a fork.
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "sidecar.workers.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )
        self.began = time.monotonic()
        self.member = False
        self.serving = False
        self.applied = -1
        self.quiet = 0
        self._held: tuple[str, str] = "", ""
        self._owed: deque[tuple[float, Command, int]] = deque()
        self._unsent: deque[memoryview] = deque()
        self._frames: FrameDecoder[WorkerReport] = FrameDecoder(WorkerReport)

    @property
    def sending(self) -> bool:
        """True while the process has not taken all that it was told."""
        return bool(self._unsent)

    @property
    def late(self) -> bool:
        """True while it owes an answer for longer than it may."""
        return bool(self._owed) and self._owed[0][0] < time.monotonic()

    def tell(self, order: Command, *, number: int = 0) -> None:
        """Send an order, as soon as the process takes it; `number` counts what is put in force."""
        allowed = _ORDER_S if self.member else _START_S
        match order:
            case LoadDocument(revision, text):
                allowed += len(text) / _BYTES_PER_S
                self._held = self._held[0], revision
            case ActivateView(decides):
                self._held = decides.revision if decides else "", self._held[1]
        if isinstance(order, LoadDocument | ActivateView | StartListening):
            self._owed.append((time.monotonic() + allowed, order, number))
        self._unsent.append(memoryview(frame(order)))
        self.flush()

    def holds(self, revision: str) -> bool:
        """Tell whether it was sent the document of this revision, and keeps it."""
        return revision in self._held

    def reads(self, revision: str) -> bool:
        """Tell whether it was sent the document of this revision, and is not done with reading it."""
        return any(isinstance(order, LoadDocument) and order.revision == revision for _, order, _ in self._owed)

    def flush(self) -> None:
        """Send what the process takes now. That it is gone is found by `receive`."""
        try:
            while self._unsent:
                sent = self.socket.send(self._unsent[0])
                if sent == len(self._unsent[0]):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = self._unsent[0][sent:]
        except BlockingIOError:
            return
        except ConnectionError:
            self._unsent.clear()

    def receive(self) -> Iterator[WorkerReport]:
        """Yield what has come, its answers already taken note of. Raises EOFError once the process is gone."""
        try:
            received = self.socket.recv(_RECEIVED)
        except BlockingIOError:
            return
        except ConnectionError:
            received = b""
        if not received:
            raise EOFError
        self.quiet = 0
        for report in self._frames.feed(received):
            if isinstance(report, Ack):
                self._answered()
            yield report

    def end(self) -> str:
        """Make an end of the process, if it has not ended, and say how it did."""
        self.popen.kill()
        status = self.popen.wait()
        self.socket.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def _answered(self) -> None:
        _, order, number = self._owed.popleft()
        match order:
            case ActivateView():
                self.applied = number
            case StartListening():
                self.serving = True


def _environment() -> Mapping[str, str]:
    """Return ours, so that the very same code is found there: where it is not installed, it is in no path by itself."""
    root = Path(sidecar.__file__).parent.parent
    if root.name in {"site-packages", "dist-packages"}:
        return os.environ
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
