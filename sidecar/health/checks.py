"""Makes the probes that the document asks for, each on a thread of its own, and reports the verdicts to the table."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sidecar.backoff import jitter
from sidecar.errors import ProbeFailed, ProbeNotAllowed
from sidecar.health.hosts import AllowedHosts
from sidecar.health.probes import attempt
from sidecar.health.verdicts import ProbeState, verdicts
from sidecar.routing.model import Checks, Probe, RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.table import RoutingTable
from sidecar.view import HealthNotice, SkippedProbe, SkipReason, View

log = logging.getLogger(__name__)

MAX_PROBES = 64
"""Bound over all datacenters; probes that a document asks for beyond it are skipped, with a notice to operators."""

# Threads at work, those included that still wait for the answer to a probe that no document asks for any more.
_MAX_THREADS = 2 * MAX_PROBES
# Seconds before a probe is made that the configuration did not allow, once its host had no allowed address.
_NOT_ALLOWED_S = 60.0
# The first probes of a start, or of a new document, are spread over this time.
_FIRST_S = 1.0

Attempt = Callable[[Probe, Sequence[str], float], None]
_Key = tuple[str, Probe]


class HealthChecks:
    """Probes the datacenters of the table's document, and reports to the table which of them are down.

    A probe that a new document keeps also keeps its state. Decisions never wait for a probe: all that a probe does to
    them is that a verdict makes another State.
    """

    def __init__(
        self,
        table: RoutingTable,
        hosts: AllowedHosts,
        *,
        attempt: Attempt = attempt,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._table = table
        self._hosts = hosts
        self._attempt = attempt
        self._clock = clock
        self._lock = threading.Lock()
        self._document: RoutingDocument | None = None
        self._probe_states: dict[_Key, ProbeState] = {}
        self._runs: dict[_Key, tuple[Checks, threading.Event]] = {}
        self._skipped: tuple[SkippedProbe, ...] = ()
        self._reported: tuple[Outages, HealthNotice | None] = {}, None
        self._threads = 0
        self._stopped = False

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        if after.state is None or after.state is before.state:
            return
        with self._lock:
            if after.state.document is not self._document:
                self._document = after.state.document
                self._follow(self._document)
            self._judge(after)

    def outcomes(self) -> list[tuple[str, str, bool]]:
        """Return each probe that is made: its datacenter, its target, and whether that is up."""
        with self._lock:
            return [
                (name, str(probe), self._probe_states.get((name, probe), ProbeState()).up) for name, probe in self._runs
            ]

    def stop(self, _timeout: float = 0.0) -> None:
        """Begin no more probes; returns at once, those under way end by themselves and report nothing."""
        with self._lock:
            self._stopped = True
            for _, ended in self._runs.values():
                ended.set()

    def _follow(self, document: RoutingDocument) -> None:
        """Begin the probes that are new in the document, end those that are not in it any more."""
        wanted: dict[_Key, Checks] = {}
        skipped = []
        for name, datacenter in (document.datacenters or {}).items():
            checks = datacenter.checks
            for probe in checks.probes if checks else ():
                if not self._hosts.might(probe):
                    target = f"{probe.host}:{probe.port}"
                    skipped.append(SkippedProbe(name, str(probe), SkipReason.NOT_ALLOWED, target=target))
                elif len(wanted) >= MAX_PROBES:
                    skipped.append(SkippedProbe(name, str(probe), SkipReason.TOO_MANY, count=MAX_PROBES))
                elif checks is not None:
                    # A change of the verdict's rules alone does not restart a probe.
                    wanted[name, probe] = replace(checks, probes=(), must_pass=0)
        for key, (checks, ended) in list(self._runs.items()):
            if wanted.get(key) != checks:
                ended.set()
                del self._runs[key]
        self._probe_states = {key: state for key, state in self._probe_states.items() if key in wanted}
        for key, checks in wanted.items() if not self._stopped else ():
            if key in self._runs:
                continue
            if self._threads >= _MAX_THREADS:
                skipped.append(SkippedProbe(key[0], str(key[1]), SkipReason.BUSY, count=self._threads))
                continue
            ended = threading.Event()
            self._runs[key] = checks, ended
            self._threads += 1
            threading.Thread(
                target=self._thread, args=(key, checks, ended), name=f"probe {key[0]}", daemon=True
            ).start()
        self._skipped = tuple(skipped)

    def _thread(self, key: _Key, checks: Checks, ended: threading.Event) -> None:
        try:
            self._run(key, checks, ended)
        finally:
            with self._lock:
                self._threads -= 1

    def _run(self, key: _Key, checks: Checks, ended: threading.Event) -> None:
        pause = random.uniform(0, min(_FIRST_S, checks.interval_ns / 1e9))  # noqa: S311 - no secret
        while not ended.wait(pause):
            pause = jitter(checks.interval_ns / 1e9)
            try:
                failure = self._outcome(key[1], checks.timeout_ns / 1e9)
            except ProbeNotAllowed as error:
                # It says nothing about the datacenter, only about our own configuration.
                log.warning("probe %s of %s: not made: %s", key[1], key[0], error)
                pause = max(pause, _NOT_ALLOWED_S)
                continue
            except Exception:
                log.exception("probe %s of %s failed unexpectedly", key[1], key[0])
                continue
            with self._lock:
                if ended.is_set():
                    return
                before = self._probe_states.get(key, ProbeState())
                after = self._probe_states[key] = before.after(failure, checks, self._clock())
                if after.up is not before.up:
                    self._judge(self._table.view)

    def _outcome(self, probe: Probe, timeout: float) -> str | None:
        """Return None for a success, else the error."""
        began = time.monotonic()
        try:
            addresses = self._hosts.addresses(probe)
            remaining = timeout - (time.monotonic() - began)
            if remaining <= 0:
                return "its address was not found in time"
            self._attempt(probe, addresses, remaining)
        except ProbeFailed as error:
            return str(error)
        except OSError as error:
            return f"its address was not found: {error.strerror or error}".lower()
        return None

    def _judge(self, view: View) -> None:
        if view.state is None:
            return
        unhealthy, ignored = verdicts(view.state, self._probe_states)
        notice = HealthNotice(ignored, self._skipped) if ignored or self._skipped else None
        if (unhealthy, notice) != self._reported:
            self._reported = unhealthy, notice
            self._table.judge(unhealthy, notice)
