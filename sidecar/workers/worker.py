"""A worker process: `python -m sidecar.workers.worker FD` answers calls from what the sidecar says on that socket."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial

from sidecar.errors import ConfigError
from sidecar.gil import Yielder, without_gc
from sidecar.log import configure, set_level
from sidecar.routing.document import parse_document
from sidecar.server.server import Server
from sidecar.server.traces import open_tracing
from sidecar.workers.messages import (
    Ack,
    ActivateView,
    AnnounceView,
    Command,
    Configure,
    FrameDecoder,
    LoadDocument,
    ObservationReport,
    SetLogLevel,
    StartFailed,
    StartListening,
    StopServing,
    WorkerReport,
    frame,
)
from sidecar.workers.replica import Replica
from sidecar.workers.stats_delta import StatsDelta

log = logging.getLogger(__name__)

# How often it sends what it has counted, and what decisions have shown where routes fail over with patience.
_COUNTED_S = 1.0
_SEEN_S = 0.1
_RECEIVED = 1 << 18
_TRACES_S = 1.0


class WorkerServer:
    """Carries out orders on the calling thread; others answer calls, and report what is counted."""

    def __init__(self, sidecar: socket.socket, begin: Configure) -> None:
        self._socket = sidecar
        self._sending = threading.Lock()
        parse = partial(parse_document, max_bytes=begin.max_document_size, checkpoint=Yielder())
        self._replica = Replica(without_gc(parse))
        self._traces = open_tracing(os.environ)
        self._server = Server(self._replica, settings=begin.settings, source=begin.source, traces=self._traces)
        self._increments = StatsDelta(self._server.stats)
        self._reporting = threading.Thread(target=self._report, name="reports", daemon=True)
        self._ended = threading.Event()

    def carry_out(self, order: Command) -> None:
        """Do what the sidecar says. Raises ConfigError where the server cannot listen."""
        match order:
            case LoadDocument():
                self._replica.prepare(order)
                self._send(Ack())
            case ActivateView():
                self._replica.put(order)
                self._send(Ack())
            case AnnounceView():
                self._replica.tell()
            case StartListening():
                self._server.start()
                self._send(Ack())
                self._reporting.start()
                # What was made so far stays; looking through it again for garbage would only hold up calls.
                gc.collect()
                gc.freeze()
            case SetLogLevel(level):
                set_level(level)
            case StopServing(grace):
                # Orders go on while calls end: what they are answered from may change meanwhile.
                threading.Thread(target=self._stop, args=(grace,), name="stop", daemon=True).start()
            case Configure():
                raise ValueError("found a second Begin, expected one")

    def refuse(self, error: ConfigError) -> None:
        """Tell the sidecar why it cannot listen."""
        self._send(StartFailed(str(error)))

    def _stop(self, grace: float) -> None:
        self._server.stop(grace)
        self._ended.set()
        if self._reporting.is_alive():
            self._reporting.join()
        if self._traces is not None:
            self._traces.stop(_TRACES_S)
        # The thread of orders ends when it finds that there are no more.
        self._socket.shutdown(socket.SHUT_RDWR)

    def _report(self) -> None:
        last, waited = False, _COUNTED_S
        while not last:
            pause = _SEEN_S if self._replica.patient else _COUNTED_S
            last = self._ended.wait(pause)
            waited += pause
            seen = self._replica.seen()
            if seen:
                self._send(ObservationReport(seen))
            if last or waited >= _COUNTED_S:
                waited = 0.0
                self._send(self._increments.take())

    def _send(self, report: WorkerReport) -> None:
        # That the sidecar is gone is found where its orders are read.
        with self._sending, suppress(ConnectionError):
            self._socket.sendall(frame(report))


def main() -> int:
    """Serve until the sidecar says to stop, or is gone; nothing outlives it. Returns the exit code."""
    # Who ends the sidecar may mean all its processes; it says itself when they are to end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sidecar = socket.socket(fileno=int(sys.argv[1]))
    frames: FrameDecoder[Command] = FrameDecoder(Command)
    worker: WorkerServer | None = None
    stopping = False
    while True:
        try:
            received = sidecar.recv(_RECEIVED)
        except ConnectionError:
            received = b""
        if not received:
            if not stopping:
                os._exit(1)
            return 0
        for order in frames.feed(received):
            stopping = stopping or isinstance(order, StopServing)
            if isinstance(order, Configure):
                configure(order.log_format, order.log_level)
                worker = WorkerServer(sidecar, order)
            elif worker is not None:
                try:
                    worker.carry_out(order)
                except ConfigError as error:
                    worker.refuse(error)
                    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
