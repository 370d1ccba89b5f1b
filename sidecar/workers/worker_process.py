"""The sidecar's end of one worker process: the process, the commands sent to it, and the acknowledgements it owes."""

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

_RECEIVE_BYTES = 1 << 18
# How long a process may take to acknowledge: a command, a document by its size, and the first one, after its imports.
_ACK_S = 3.0
_BYTES_PER_S = 200_000
_START_S = 30.0


class WorkerProcess:
    """A worker process, started by the constructor. All methods are for one thread, and none blocks. Raises OSError.

    It has `joined` the rollout once it has activated a view: from then on the others wait for it, and it is sent
    StartListening. It is `serving` once it listens. `applied` is the number of the last view that it activated, -1
    before one. `missed_reports` is for the supervisor, which counts the seconds without any message.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.socket = ours
        with theirs:
            # A new interpreter: threads, gRPC's above all, do not survive a fork.
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "sidecar.workers.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )
        self.started_at = time.monotonic()
        self.joined = False
        self.serving = False
        self.applied = -1
        self.missed_reports = 0
        # The documents that it keeps: the one in force, and the one loaded last.
        self._documents: tuple[str, str] = "", ""
        # By when each command must be acknowledged, and the number of the view that it activates.
        self._unacknowledged: deque[tuple[float, Command, int]] = deque()
        self._unsent: deque[memoryview] = deque()
        self._frames: FrameDecoder[WorkerReport] = FrameDecoder(WorkerReport)

    @property
    def sending(self) -> bool:
        """True while there are bytes that the process has not received yet."""
        return bool(self._unsent)

    @property
    def overdue(self) -> bool:
        """True while an acknowledgement is late."""
        return bool(self._unacknowledged) and self._unacknowledged[0][0] < time.monotonic()

    def send(self, command: Command, *, number: int = 0) -> None:
        """Send a command as soon as the process receives it; `number` is that of the view that it activates."""
        allowed = _ACK_S if self.joined else _START_S
        match command:
            case LoadDocument(revision, text):
                allowed += len(text) / _BYTES_PER_S
                self._documents = self._documents[0], revision
            case ActivateView(decides):
                self._documents = decides.revision if decides else "", self._documents[1]
        if isinstance(command, LoadDocument | ActivateView | StartListening):
            self._unacknowledged.append((time.monotonic() + allowed, command, number))
        self._unsent.append(memoryview(frame(command)))
        self.flush()

    def has_document(self, revision: str) -> bool:
        """Return whether it was sent this document and still keeps it."""
        return revision in self._documents

    def is_loading(self, revision: str) -> bool:
        """Return whether it was sent this document and has not finished parsing it."""
        return any(
            isinstance(command, LoadDocument) and command.revision == revision for _, command, _ in self._unacknowledged
        )

    def flush(self) -> None:
        """Send what the process receives now. That it is gone is noticed by `receive`."""
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
        """Yield the messages received, acknowledgements already applied. Raises EOFError if the process is gone."""
        try:
            received = self.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            received = b""
        if not received:
            raise EOFError
        self.missed_reports = 0
        for report in self._frames.feed(received):
            if isinstance(report, Ack):
                self._acknowledge()
            yield report

    def kill(self) -> str:
        """Kill the process, unless it has ended; return its signal or exit status."""
        self.popen.kill()
        status = self.popen.wait()
        self.socket.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def _acknowledge(self) -> None:
        _, command, number = self._unacknowledged.popleft()
        match command:
            case ActivateView():
                self.applied = number
            case StartListening():
                self.serving = True


def _environment() -> Mapping[str, str]:
    """Return our environment, in which the process finds this very code also where it is not installed."""
    root = Path(sidecar.__file__).parent.parent
    if root.name in {"site-packages", "dist-packages"}:
        return os.environ
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
