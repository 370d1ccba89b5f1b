"""Supervises the worker processes of a sidecar: keeps them alive, on the same State, and counted as one."""

from __future__ import annotations

import logging
import math
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sidecar.backoff import Backoff
from sidecar.counters import CallStats, ProcessCounts
from sidecar.errors import ConfigError, SidecarError
from sidecar.routing.document import revision_of
from sidecar.routing.model import RoutingDocument
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from sidecar.view import Parse, View
from sidecar.workers.messages import (
    Ack,
    Command,
    Configure,
    LoadDocument,
    ObservationReport,
    SetLogLevel,
    StartFailed,
    StartListening,
    StatsReport,
    StopServing,
    WorkerReport,
)
from sidecar.workers.ports import SharedPorts
from sidecar.workers.rollout import Rollout
from sidecar.workers.stats_delta import add_delta
from sidecar.workers.worker_process import WorkerProcess

log = logging.getLogger(__name__)

_START_S = 40.0
_WAKE_BYTES = 4096
_CHECK_S = 1.0
# A process reports every second; one that has missed this many reports is taken to hang.
_MAX_MISSED_REPORTS = 10
# How much longer each may take for its acknowledgements after all were late.
_EXCUSED_S = 3.0
# A process that served for longer is replaced at once; otherwise each restart in a row waits twice as long.
_STABLE_S = 10.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
# How much longer than the grace period they may take to report what they counted last.
_LAST_REPORT_S = 1.0


@dataclass(slots=True)
class Slot:
    """One of the places for worker processes: its process, and when the next one is due while there is none."""

    process: WorkerProcess | None = None
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S))

    def release(self, uptime_s: float) -> None:
        """Give up the process: the next one is due at once after a long uptime, after a growing pause otherwise."""
        self.process = None
        if uptime_s > _STABLE_S:
            self.backoff.reset()
        else:
            self.backoff.fail()


class Supervisor:
    """Answers calls as `Server` does, with `workers` processes that share each port; a connection stays with one.

    They agree on each view of the table (`Rollout`). A process that does not follow in time is replaced, as is one that
    dies; the others continue meanwhile. `stats` is what all of them count, including those that are gone.
    """

    def __init__(
        self, settings: ServerSettings, *, workers: int, source: str, max_document_size: int, log_format: str
    ) -> None:
        self.stats = CallStats(processes=self.processes)
        self._settings = settings
        self._source = source
        self._max_document_size = max_document_size
        self._log_format = log_format
        self._slots = [Slot() for _ in range(workers)]
        self._table: RoutingTable | None = None
        self._ports: SharedPorts | None = None
        self._selector = selectors.DefaultSelector()
        self._waker, woken = socket.socketpair()
        for end in (self._waker, woken):
            end.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ)
        # Shared by the threads under `_work`: requests and events.
        self._work = threading.Condition()
        self._rollout: Rollout | None = None
        self._grace: float | None = None
        self._failure: SidecarError | None = None
        self._started = False
        self._replaced = 0
        self._over = False
        self._level = ""
        self._checked_at = 0.0
        self._excused_until = 0.0
        self._thread = threading.Thread(target=self._run, name="worker processes", daemon=True)

    def processes(self) -> ProcessCounts:
        """Return how many processes there should be, how many serve, and how many were replaced."""
        return ProcessCounts(len(self._slots), sum(process.serving for process in self._running()), self._replaced)

    def live_workers(self, _app: str) -> tuple[Mapping[str, int], int]:
        """Return none: each process knows the workers of its own calls only."""
        return {}, 0

    def preloading(self, parse: Parse) -> Parse:
        """Return a `parse` that has all worker processes parse the same text meanwhile, and waits for them."""

        def parse_everywhere(text: bytes) -> RoutingDocument:
            rollout = self._rollout
            if rollout is None:
                return parse(text)
            revision = revision_of(text)
            with self._work:
                rollout.preload(LoadDocument(revision, text))
            self._wake()
            document = parse(text)
            with self._work:
                # Not for ever: a process that owes an acknowledgement for too long is replaced.
                self._work.wait_for(lambda: self._over or not rollout.is_loading(revision, self._running()))
            return document

        return parse_everywhere

    def connect(self, table: RoutingTable) -> None:
        """Follow the views of this table, and report observations to it; to be called once, before it starts."""
        self._table = table
        table.subscribe(self._changed)

    def start(self) -> list[str]:
        """Start the processes; return the addresses once all of them listen there. Raises ConfigError."""
        assert self._table is not None
        plaintext = self._settings.tls_cert is None and not self._settings.allow_plaintext
        self._ports = SharedPorts(self._settings.listen, plaintext=plaintext)
        self._settings = replace(self._settings, listen=self._ports.addresses, reuse_port=True)
        with self._work:
            self._rollout = Rollout(self._table.view)
        self._thread.start()
        with self._work:
            came = self._work.wait_for(lambda: self._failure or self._all_serving(), _START_S)
            failure, self._started = self._failure, True
        if failure is not None or not came:
            self.stop(0)
            raise failure or SidecarError(f"the worker processes did not start within {_START_S:g} s")
        return list(self._ports.addresses)

    def stop(self, grace: float) -> None:
        """Stop the processes within `grace` seconds, as `Server.stop` does; those that take longer are killed."""
        with self._work:
            self._grace = grace
        self._wake()
        if self._thread.is_alive():
            self._thread.join(grace + 2 * _LAST_REPORT_S)
        for process in self._running():
            process.kill()
        if self._ports is not None:
            self._ports.close()

    def _changed(self, _before: View, after: View) -> None:
        with self._work:
            if self._rollout is not None:
                self._rollout.set_target(after)
        self._wake()

    def _wake(self) -> None:
        # A full buffer means that the thread is to wake up anyway.
        with suppress(BlockingIOError):
            self._waker.send(b"\0")

    def _running(self) -> list[WorkerProcess]:
        return [slot.process for slot in self._slots if slot.process is not None]

    def _all_serving(self) -> bool:
        processes = self.processes()
        return processes.serving == processes.wanted

    def _run(self) -> None:
        assert self._rollout is not None
        deadline = math.inf
        while time.monotonic() < deadline and (deadline == math.inf or self._running()):
            events = self._selector.select(self._flush())
            with self._work:
                try:
                    if self._grace is not None and deadline == math.inf:
                        deadline = time.monotonic() + self._grace + _LAST_REPORT_S
                        self._broadcast(StopServing(self._grace))
                    for key, _ in events:
                        self._receive(key)
                    self._rollout.advance(self._running())
                    self._check()
                except Exception:
                    log.exception("worker supervision failed; workers keep running")
                    time.sleep(_FIRST_PAUSE_S)
                self._work.notify_all()
        with self._work:
            self._over = True
            self._work.notify_all()

    def _flush(self) -> float:
        """Send what can be sent; return for how many seconds there is nothing to do unless something arrives."""
        for slot in self._slots:
            if slot.process is not None:
                slot.process.flush()
                writing = selectors.EVENT_WRITE if slot.process.sending else 0
                self._selector.modify(slot.process.socket, selectors.EVENT_READ | writing, slot)
        if self._grace is not None:
            return _CHECK_S / 10
        dues = [slot.backoff.remaining_s for slot in self._slots if slot.process is None]
        return min([_CHECK_S, *dues])

    def _receive(self, key: selectors.SelectorKey) -> None:
        slot: Slot | None = key.data
        if slot is None:
            with suppress(BlockingIOError):
                while key.fileobj.recv(_WAKE_BYTES):  # type: ignore[union-attr]  # it is a socket
                    pass
        elif slot.process is not None:
            try:
                for report in slot.process.receive():
                    self._handle(slot.process, report)
            except EOFError:
                self._replace(slot, "it ended")
            except ValueError as error:
                self._replace(slot, str(error))

    def _handle(self, process: WorkerProcess, report: WorkerReport) -> None:
        match report:
            case StatsReport():
                add_delta(self.stats, report)
            case ObservationReport(observations) if self._table is not None:
                for observation in observations:
                    self._table.observe(observation)
            case StartFailed(error):
                if not self._started:
                    self._failure = ConfigError(error)
                self._report_failure(f"worker process {process.popen.pid} cannot take calls: {error}")
            case Ack() if process.applied >= 0 and not process.joined:
                process.joined = True
                process.send(StartListening())

    def _broadcast(self, command: Command) -> None:
        for process in self._running():
            process.send(command)

    def _check(self) -> None:
        """Start the processes that are due, replace those that hang, and pass on the log level."""
        now = time.monotonic()
        due = now - self._checked_at >= _CHECK_S
        if due:
            self._checked_at = now
        # Where none answers, the machine is slow: without them nobody would be answered, and starts take longer still.
        if all(process.overdue for process in self._running()):
            self._excused_until = now + _EXCUSED_S
        for slot in self._slots:
            process = slot.process
            if process is None:
                if not slot.backoff.remaining_s and self._grace is None:
                    self._start_process(slot)
                continue
            if due and process.serving:
                process.missed_reports += 1
            late = process.overdue and not (process.serving and now < self._excused_until)
            if late or process.missed_reports > _MAX_MISSED_REPORTS:
                self._replace(slot, "it did not answer in time")
        level = _level()
        if level != self._level:
            self._level = level
            self._broadcast(SetLogLevel(level))

    def _start_process(self, slot: Slot) -> None:
        assert self._rollout is not None
        try:
            process = slot.process = WorkerProcess()
        except OSError as error:
            slot.release(0.0)
            self._report_failure(f"a worker process cannot be started: {error.strerror}")
            return
        self._selector.register(process.socket, selectors.EVENT_READ, slot)
        process.send(Configure(self._settings, self._source, self._max_document_size, self._log_format, _level()))
        self._rollout.add(process)

    def _replace(self, slot: Slot, why: str) -> None:
        """Kill the process of a slot; another one is started when it is due."""
        process = slot.process
        assert process is not None
        slot.release(time.monotonic() - process.started_at if process.serving else 0.0)
        self._selector.unregister(process.socket)
        status = process.kill()
        if self._grace is not None:
            return
        self._replaced += 1
        self._report_failure(f"worker process {process.popen.pid}: {why} ({status}); it is replaced")

    def _report_failure(self, problem: str) -> None:
        """Log a problem of a running sidecar; at the start it makes the start fail."""
        if self._started:
            log.error("%s", problem)
        else:
            self._failure = self._failure or SidecarError(problem)


def _level() -> str:
    return logging.getLevelName(logging.getLogger("sidecar").level).lower()
