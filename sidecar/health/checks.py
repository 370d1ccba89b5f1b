"""Makes the probes that the document asks for, each on a thread of its own, and tells the table the verdicts."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sidecar.health.hosts import AllowedHosts, NotAllowed
from sidecar.health.probes import ProbeFailed, attempt
from sidecar.health.verdicts import ProbeState, verdicts
from sidecar.routing.model import Checks, Probe, RoutingDocument
from sidecar.table import RoutingTable, View

log = logging.getLogger(__name__)

MAX_PROBES = 64
"""Of all datacenters together; what a document asks for beyond that is not made, and said so."""

# Threads at work, those included that still wait for the answer to a probe that no document asks for any more.
_MAX_THREADS = 2 * MAX_PROBES
# How many of the probes that are not made are named.
_TOLD = 5
# How much each pause may be longer or shorter, so that the probes of many sidecars do not come all at once.
_JITTER = 0.1
# The first probes of a start, or of a new document, are spread over this time.
_FIRST_S = 1.0

Attempt = Callable[[Probe, Sequence[str], float], None]
_Key = tuple[str, Probe]


class HealthChecks:
    """Probes the datacenters of the table's document, and tells the table which of them are down.

    A probe that a new document keeps goes on as it stands. Decisions never wait for a probe: the only thing that a
    probe does to them is that a verdict makes another State.
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
        self._refused = ""
        self._told: tuple[Mapping[str, str], str] = {}, ""
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
        """Return each probe that is made: its datacenter, what it tries, and whether it is up."""
        with self._lock:
            return [
                (name, str(probe), self._probe_states.get((name, probe), ProbeState()).up) for name, probe in self._runs
            ]

    def stop(self, _timeout: float = 0.0) -> None:
        """Begin no more probes; returns at once, those under way end by themselves, and tell nothing."""
        with self._lock:
            self._stopped = True
            for _, ended in self._runs.values():
                ended.set()

    def _follow(self, document: RoutingDocument) -> None:
        """Begin the probes that are new in the document, end those that are not in it any more."""
        wanted: dict[_Key, Checks] = {}
        refused = []
        for name, datacenter in (document.datacenters or {}).items():
            checks = datacenter.checks
            for probe in checks.probes if checks else ():
                if not self._hosts.might(probe):
                    refused.append(f"{probe} of {name}: --probe-hosts does not allow {probe.host}:{probe.port}")
                elif len(wanted) >= MAX_PROBES:
                    refused.append(f"{probe} of {name}: there are {MAX_PROBES} already")
                elif checks is not None:
                    # What concerns the verdict alone does not begin a probe anew.
                    wanted[name, probe] = replace(checks, probes=(), must_pass=0)
        for key, (checks, ended) in list(self._runs.items()):
            if wanted.get(key) != checks:
                ended.set()
                del self._runs[key]
        self._probe_states = {key: standing for key, standing in self._probe_states.items() if key in wanted}
        for key, checks in wanted.items() if not self._stopped else ():
            if key in self._runs:
                continue
            if self._threads >= _MAX_THREADS:
                refused.append(f"{key[1]} of {key[0]}: {self._threads} earlier ones have not ended yet")
                continue
            ended = threading.Event()
            self._runs[key] = checks, ended
            self._threads += 1
            threading.Thread(
                target=self._thread, args=(key, checks, ended), name=f"probe {key[0]}", daemon=True
            ).start()
        more = f"; and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
        self._refused = f"these probes are not made: {'; '.join(refused[:_TOLD])}{more}" if refused else ""

    def _thread(self, key: _Key, checks: Checks, ended: threading.Event) -> None:
        try:
            self._run(key, checks, ended)
        finally:
            with self._lock:
                self._threads -= 1

    def _run(self, key: _Key, checks: Checks, ended: threading.Event) -> None:
        pause = random.uniform(0, min(_FIRST_S, checks.interval_ns / 1e9))  # noqa: S311 - no secret
        while not ended.wait(pause):
            pause = checks.interval_ns / 1e9 * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
            try:
                failure = self._outcome(key[1], checks.timeout_ns / 1e9)
            except NotAllowed as error:
                # It says nothing of the datacenter, only of our own configuration.
                log.warning("the probe %s of %s is not made: %s", key[1], key[0], error)
                pause = max(pause, 60.0)
                continue
            except Exception:
                log.exception("the probe %s of %s could not be made", key[1], key[0])
                continue
            with self._lock:
                if ended.is_set():
                    return
                before = self._probe_states.get(key, ProbeState())
                after = self._probe_states[key] = before.after(failure, checks, self._clock())
                if after.up is not before.up:
                    self._judge(self._table.view)

    def _outcome(self, probe: Probe, timeout: float) -> str | None:
        """Return None for a success, else why it failed."""
        began = time.monotonic()
        try:
            addresses = self._hosts.addresses(probe)
            left = timeout - (time.monotonic() - began)
            if left <= 0:
                return "its address was not found in time"
            self._attempt(probe, addresses, left)
        except ProbeFailed as error:
            return str(error)
        except OSError as error:
            return f"its address was not found: {error.strerror or error}".lower()
        return None

    def _judge(self, view: View) -> None:
        if view.state is None:
            return
        judged, notice = verdicts(view.state, self._probe_states)
        told = judged, "; ".join(part for part in (notice, self._refused) if part)
        if told != self._told:
            self._told = told
            self._table.judge(*told)
