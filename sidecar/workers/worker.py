"""A worker process: `python -m sidecar.workers.worker FD` answers calls by the views that the sidecar sends there."""

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
from sidecar.footprint import document_budget
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

# How often it reports statistics, and observations where routes fail over with patience.
_STATS_S = 1.0
_OBSERVATIONS_S = 0.1
_RECEIVE_BYTES = 1 << 18
_TRACES_S = 1.0


class WorkerServer:
    """Executes commands on the calling thread; others answer calls and send reports."""

    def __init__(self, sidecar: socket.socket, config: Configure) -> None:
        self._socket = sidecar
        self._sending = threading.Lock()
        budget = document_budget(config.settings.max_memory)
        parse = partial(parse_document, max_bytes=config.max_document_size, budget=budget, checkpoint=Yielder())
        self._replica = Replica(without_gc(parse))
        self._traces = open_tracing(os.environ)
        self._server = Server(self._replica, settings=config.settings, source=config.source, traces=self._traces)
        self._delta = StatsDelta(self._server.stats)
        self._reporting = threading.Thread(target=self._report, name="reports", daemon=True)
        self._ended = threading.Event()

    def execute(self, command: Command) -> None:
        """Execute a command. Raises ConfigError if the server cannot listen."""
        match command:
            case LoadDocument():
                self._replica.prepare(command)
                self._send(Ack())
            case ActivateView():
                self._replica.put(command)
                self._send(Ack())
            case AnnounceView():
                self._replica.announce()
            case StartListening():
                self._server.start()
                self._send(Ack())
                self._reporting.start()
                # What exists now stays: the garbage collector need not look at it again, which would hold up calls.
                gc.collect()
                gc.freeze()
            case SetLogLevel(level):
                set_level(level)
            case StopServing(grace):
                # Commands are executed while calls finish: the view may change meanwhile.
                threading.Thread(target=self._stop, args=(grace,), name="stop", daemon=True).start()
            case Configure():
                raise ValueError("found a second Configure, expected one")

    def report_failure(self, error: ConfigError) -> None:
        """Report why this process cannot listen."""
        self._send(StartFailed(str(error)))

    def _stop(self, grace: float) -> None:
        self._server.stop(grace)
        self._ended.set()
        if self._reporting.is_alive():
            self._reporting.join()
        if self._traces is not None:
            self._traces.stop(_TRACES_S)
        # Ends the thread that reads commands.
        self._socket.shutdown(socket.SHUT_RDWR)

    def _report(self) -> None:
        last, waited = False, _STATS_S
        while not last:
            pause = _OBSERVATIONS_S if self._replica.patient else _STATS_S
            last = self._ended.wait(pause)
            waited += pause
            observations = self._replica.take_observations()
            if observations:
                self._send(ObservationReport(observations))
            if last or waited >= _STATS_S:
                waited = 0.0
                self._send(self._delta.collect())

    def _send(self, report: WorkerReport) -> None:
        # That the sidecar is gone is noticed where commands are read.
        with self._sending, suppress(ConnectionError):
            self._socket.sendall(frame(report))


def main() -> int:
    """Serve until the sidecar sends StopServing or is gone; nothing outlives it. Returns the exit code."""
    # A terminal sends signals to all processes of the sidecar; the sidecar itself stops its workers.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sidecar = socket.socket(fileno=int(sys.argv[1]))
    frames: FrameDecoder[Command] = FrameDecoder(Command)
    worker: WorkerServer | None = None
    stopping = False
    while True:
        try:
            received = sidecar.recv(_RECEIVE_BYTES)
        except ConnectionError:
            received = b""
        if not received:
            if not stopping:
                os._exit(1)
            return 0
        for command in frames.feed(received):
            stopping = stopping or isinstance(command, StopServing)
            if isinstance(command, Configure):
                configure(command.log_format, command.log_level)
                worker = WorkerServer(sidecar, command)
            elif worker is not None:
                try:
                    worker.execute(command)
                except ConfigError as error:
                    worker.report_failure(error)
                    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
