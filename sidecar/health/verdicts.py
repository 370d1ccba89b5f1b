"""Verdicts from the outcomes of probes: which datacenters are down, and when that is not to be believed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.routing.model import Checks, Probe
from sidecar.routing.outage import Fault, FaultKind, Outage, OutageKind, Outages, ProbeFailure, unhealthy
from sidecar.routing.state import State


@dataclass(frozen=True, slots=True)
class ProbeState:
    """The state of a probe. `against` counts the outcomes in a row that contradict `up`; `error` is the last failure's.

    A probe that was never made is up: a sidecar that starts takes nothing out of service before it knows better.
    """

    up: bool = True
    against: int = 0
    error: str = ""
    since_ns: int = 0

    def after(self, failure: str | None, checks: Checks, now_ns: int) -> ProbeState:
        """Return the state after one more outcome: None for a success, else the error."""
        if (failure is None) is self.up:
            return replace(self, against=0) if self.against else self
        against = self.against + 1
        if against < (checks.fall if self.up else checks.rise):
            return replace(self, against=against)
        return ProbeState(up=not self.up, error=failure or "", since_ns=now_ns)


ProbeStates = Mapping[tuple[str, Probe], ProbeState]


def down(name: str, checks: Checks, probe_states: ProbeStates) -> Outage | None:
    """Return the outage of a datacenter that is down; None while enough of its probes are up."""
    failing = [
        (probe, state) for probe in checks.probes if not (state := probe_states.get((name, probe), ProbeState())).up
    ]
    if len(checks.probes) - len(failing) >= checks.must_pass:
        return None
    failures = tuple(ProbeFailure(str(probe), state.error) for probe, state in failing)
    since_ns = max(state.since_ns for _, state in failing)
    return unhealthy(Fault(FaultKind.PROBES, probes=failures, since_ns=since_ns))


def verdicts(state: State, probe_states: ProbeStates) -> tuple[Outages, Outages]:
    """Return the outages of the datacenters that count as down, and the verdicts that do not count.

    Health checks never take the last datacenter out of service: where none would be left of those that no mark and no
    drill took out already, it is the checks that are broken, and none of them counts.
    """
    datacenters = state.document.datacenters or {}
    judged = {
        name: outage
        for name, datacenter in datacenters.items()
        if datacenter.checks is not None and (outage := down(name, datacenter.checks, probe_states)) is not None
    }
    ordered = {name for name, outage in state.out.items() if outage.kind is not OutageKind.UNHEALTHY}
    remaining = [name for name in datacenters if name not in ordered]
    broken = remaining and all(name in judged for name in remaining)
    return ({}, judged) if broken else (judged, {})
