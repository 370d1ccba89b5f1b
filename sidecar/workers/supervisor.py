"""The worker processes of a sidecar: kept alive, all on the same State, and counted as one."""

from __future__ import annotations

import logging
import math
import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sidecar.backoff import Backoff
from sidecar.counters import CallStats, ProcessCounts
from sidecar.errors import ConfigError, SidecarError
from sidecar.routing.document import revision_of
from sidecar.routing.model import RoutingDocument
from sidecar.server.settings import ServerSettings
from sidecar.table import Parse, RoutingTable, View
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
_RINGS = 4096
_TICK_S = 1.0
# A process that reported every second, and then not for so many, is taken to hang.
_QUIET = 10
# A process that served for longer is replaced at once; otherwise each restart in a row waits twice as long.
_STABLE_S = 10.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
# How much longer than the grace period they may take to say what they counted last.
_LAST_WORDS_S = 1.0


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
    """Answers calls as `Server` does, by `workers` processes that share each port; a client's connection is with one.

    They agree on each view of the table (`Rollout`). One that does not follow in time is replaced, as is one that
    dies; the others go on meanwhile. `stats` is what all of them count, those that are gone included.
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
        self._notifier, bell = socket.socketpair()
        for end in (self._notifier, bell):
            end.setblocking(False)
        self._selector.register(bell, selectors.EVENT_READ)
        # Between the threads: what is asked for, and how it stands.
        self._work = threading.Condition()
        self._rollout: Rollout | None = None
        self._grace: float | None = None
        self._failure: SidecarError | None = None
        self._started = False
        self._replaced = 0
        self._over = False
        self._level = ""
        self._ticked = 0.0
        self._thread = threading.Thread(target=self._run, name="worker processes", daemon=True)

    def processes(self) -> ProcessCounts:
        """Return how they stand."""
        return ProcessCounts(len(self._slots), sum(process.serving for process in self._processes()), self._replaced)

    def preloading(self, parse: Parse) -> Parse:
        """Return `parse`, made to have all worker processes read the same text meanwhile, and to wait for them."""

        def parse_together(text: bytes) -> RoutingDocument:
            rollout = self._rollout
            if rollout is None:
                return parse(text)
            revision = revision_of(text)
            with self._work:
                rollout.announce(LoadDocument(revision, text))
            self._ring()
            document = parse(text)
            with self._work:
                # Not for ever: who owes an answer for too long is replaced.
                self._work.wait_for(lambda: self._over or not rollout.reads(revision, self._processes()))
            return document

        return parse_together

    def connect(self, table: RoutingTable) -> None:
        """Put in force what this table does; to be called once, before the table starts."""
        self._table = table
        table.subscribe(self._changed)

    def start(self) -> list[str]:
        """Start the processes; return the addresses, once all of them listen there. Raises ConfigError."""
        assert self._table is not None
        plaintext = self._settings.tls_cert is None and not self._settings.allow_plaintext
        self._ports = SharedPorts(self._settings.listen, plaintext=plaintext)
        self._settings = replace(self._settings, listen=self._ports.addresses, reuse_port=True)
        with self._work:
            self._rollout = Rollout(self._table.view)
        self._thread.start()
        with self._work:
            came = self._work.wait_for(lambda: self._failure or self._complete(), _START_S)
            failure, self._started = self._failure, True
        if failure is not None or not came:
            self.stop(0)
            raise failure or SidecarError(f"the worker processes did not come up within {_START_S:g} s")
        return list(self._ports.addresses)

    def stop(self, grace: float) -> None:
        """End them within `grace` seconds, as `Server.stop` does; who has not ended by then is killed."""
        with self._work:
            self._grace = grace
        self._ring()
        if self._thread.is_alive():
            self._thread.join(grace + 2 * _LAST_WORDS_S)
        for process in self._processes():
            process.end()
        if self._ports is not None:
            self._ports.close()

    def _changed(self, _before: View, after: View) -> None:
        with self._work:
            if self._rollout is not None:
                self._rollout.want(after)
        self._ring()

    def _ring(self) -> None:
        # When it cannot be rung, it rings already.
        with suppress(BlockingIOError):
            self._notifier.send(b"\0")

    def _processes(self) -> list[WorkerProcess]:
        return [slot.process for slot in self._slots if slot.process is not None]

    def _complete(self) -> bool:
        processes = self.processes()
        return processes.serving == processes.wanted

    def _run(self) -> None:
        assert self._rollout is not None
        ends = math.inf
        while time.monotonic() < ends and (ends == math.inf or self._processes()):
            events = self._selector.select(self._pause())
            with self._work:
                try:
                    if self._grace is not None and ends == math.inf:
                        ends = time.monotonic() + self._grace + _LAST_WORDS_S
                        self._tell_all(StopServing(self._grace))
                    for key, _ in events:
                        self._hear(key)
                    self._rollout.go_on(self._processes())
                    self._look_after()
                except Exception:
                    log.exception("the worker processes could not be looked after; they go on as they are")
                    time.sleep(_FIRST_PAUSE_S)
                self._work.notify_all()
        with self._work:
            self._over = True
            self._work.notify_all()

    def _pause(self) -> float:
        """Write what can be written, and return for how long nothing is to be done unless something comes."""
        for slot in self._slots:
            if slot.process is not None:
                slot.process.flush()
                writing = selectors.EVENT_WRITE if slot.process.sending else 0
                self._selector.modify(slot.process.socket, selectors.EVENT_READ | writing, slot)
        if self._grace is not None:
            return _TICK_S / 10
        dues = [slot.backoff.remaining_s for slot in self._slots if slot.process is None]
        return min([_TICK_S, *dues])

    def _hear(self, key: selectors.SelectorKey) -> None:
        slot: Slot | None = key.data
        if slot is None:
            with suppress(BlockingIOError):
                while key.fileobj.recv(_RINGS):  # type: ignore[union-attr]  # it is a socket
                    pass
        elif slot.process is not None:
            try:
                for report in slot.process.receive():
                    self._take(slot.process, report)
            except EOFError:
                self._lost(slot, "it ended")
            except ValueError as error:
                self._lost(slot, str(error))

    def _take(self, process: WorkerProcess, report: WorkerReport) -> None:
        match report:
            case StatsReport():
                add_delta(self.stats, report)
            case ObservationReport(seen) if self._table is not None:
                for each in seen:
                    self._table.observe(each)
            case StartFailed(why):
                if not self._started:
                    self._failure = ConfigError(why)
                self._tell_of(f"worker process {process.popen.pid} cannot take calls: {why}")
            case Ack() if process.applied >= 0 and not process.member:
                process.member = True
                process.tell(StartListening())

    def _tell_all(self, order: Command) -> None:
        for process in self._processes():
            process.tell(order)

    def _look_after(self) -> None:
        """Replace who is gone or hangs, and hand on the log level."""
        now = time.monotonic()
        ticks = now - self._ticked >= _TICK_S
        if ticks:
            self._ticked = now
        for slot in self._slots:
            process = slot.process
            if process is None:
                if not slot.backoff.remaining_s and self._grace is None:
                    self._begin(slot)
                continue
            if ticks and process.serving:
                process.quiet += 1
            if process.late or process.quiet > _QUIET:
                self._lost(slot, "it did not answer in time")
        level = _level()
        if level != self._level:
            self._level = level
            self._tell_all(SetLogLevel(level))

    def _begin(self, slot: Slot) -> None:
        assert self._rollout is not None
        try:
            process = slot.process = WorkerProcess()
        except OSError as error:
            slot.release(0.0)
            self._tell_of(f"a worker process cannot be started: {error.strerror}")
            return
        self._selector.register(process.socket, selectors.EVENT_READ, slot)
        process.tell(Configure(self._settings, self._source, self._max_document_size, self._log_format, _level()))
        self._rollout.welcome(process)

    def _lost(self, slot: Slot, why: str) -> None:
        process = slot.process
        assert process is not None
        slot.release(time.monotonic() - process.began if process.serving else 0.0)
        self._selector.unregister(process.socket)
        how = process.end()
        if self._grace is not None:
            return
        self._replaced += 1
        self._tell_of(f"worker process {process.popen.pid}: {why} ({how}); another one takes its place")

    def _tell_of(self, trouble: str) -> None:
        """Log what happens to those that serve; at the start it ends that."""
        if self._started:
            log.error("%s", trouble)
        else:
            self._failure = self._failure or SidecarError(trouble)


def _level() -> str:
    return logging.getLevelName(logging.getLogger("sidecar").level).lower()
