"""What follows from the outcomes of probes: which datacenters are down, and when that is not to be believed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.routing.model import Checks, Probe
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State


@dataclass(frozen=True, slots=True)
class ProbeState:
    """How a probe stands. `against` counts the outcomes in a row that speak against `up`; `why` of the last failure.

    A probe that was never made is up: a sidecar that starts takes nothing out of service before it knows better.
    """

    up: bool = True
    against: int = 0
    why: str = ""
    since_ns: int = 0

    def after(self, failure: str | None, checks: Checks, now_ns: int) -> ProbeState:
        """Return the standing after one more outcome: None for a success, else why it failed."""
        if (failure is None) is self.up:
            return replace(self, against=0) if self.against else self
        against = self.against + 1
        if against < (checks.fall if self.up else checks.rise):
            return replace(self, against=against)
        return ProbeState(up=not self.up, why=failure or "", since_ns=now_ns)


ProbeStates = Mapping[tuple[str, Probe], ProbeState]


def down(name: str, checks: Checks, probe_states: ProbeStates) -> str:
    """Return why a datacenter is down, and since when; "" while enough of its probes are up."""
    failing = [
        (standing, probe)
        for probe in checks.probes
        if not (standing := probe_states.get((name, probe), ProbeState())).up
    ]
    if len(checks.probes) - len(failing) >= checks.must_pass:
        return ""
    words = ", ".join(f"{probe}: {standing.why}" for standing, probe in failing)
    return f"probes: {words}, since {format_time(max(standing.since_ns for standing, _ in failing) // 10**9 * 10**9)}"


def verdicts(state: State, probe_states: ProbeStates) -> tuple[Mapping[str, str], str]:
    """Return the datacenters that are to be taken for down, with the reasons, and what operators must be told.

    Health checks never take the last datacenter out of service: where none would be left of those that no mark and no
    drill took out already, it is the checks that are broken, and they do not count.
    """
    datacenters = state.document.datacenters or {}
    found = {name: down(name, dc.checks, probe_states) for name, dc in datacenters.items() if dc.checks is not None}
    judged = {name: why for name, why in found.items() if why}
    ordered = {name for name, why in state.out.items() if state.unhealthy.get(name) != why}
    left = [name for name in datacenters if name not in ordered]
    if judged and left and all(name in judged for name in left):
        said = "; ".join(f"{name}: {why}" for name, why in judged.items())
        return {}, f"health checks judge every datacenter down, so they are taken for broken and do NOT count: {said}"
    return judged, ""
