"""The clock of a document: the position of its ramps, the drills that are on, and the time of the next change."""

from __future__ import annotations

from sidecar.routing.model import Ramp, RoutingDocument, Selector, Split


def ramp_step(ramp: Ramp, now_ns: int) -> int:
    """Return how many of its steps the ramp has taken: floor(steps x elapsed / duration), between 0 and `steps`."""
    elapsed = now_ns - ramp.start_ns
    return max(0, min(ramp.steps, ramp.steps * elapsed // ramp.duration_ns))


def ramp_weights(ramp: Ramp, now_ns: int) -> tuple[tuple[str, float], ...]:
    """Return the weights of a ramp at a time: `to` weighs the steps that were taken, `from` the rest."""
    taken = ramp_step(ramp, now_ns)
    return ((ramp.source, float(ramp.steps - taken)), (ramp.target, float(taken)))


def weights_at(selector: Selector, now_ns: int) -> tuple[tuple[str, float], ...]:
    """Return the weight of each datacenter of a selector at a time, in the document's order; `active` weighs 1."""
    match selector:
        case Ramp():
            return ramp_weights(selector, now_ns)
        case Split():
            return selector.weights
        case _:
            return ((selector.datacenter, 1.0),)


def step_time(ramp: Ramp, step: int) -> int:
    """Return the first nanosecond at which the ramp has taken `step` steps."""
    return ramp.start_ns - (-ramp.duration_ns * step // ramp.steps)


def window(document: RoutingDocument, now_ns: int) -> tuple[int | None, int | None]:
    """Return the span around `now_ns` without a ramp step, drill start or drill end: from (inclusive), until.

    None: nothing ever changes on that side. Within the span every decision by the document is the same as at `now_ns`;
    a clock that leaves it, in either direction, needs a new State.
    """
    before: list[int] = []
    after: list[int] = []
    for ramp in document.ramps:
        taken = ramp_step(ramp, now_ns)
        if taken > 0:
            before.append(step_time(ramp, taken))
        if taken < ramp.steps:
            after.append(step_time(ramp, taken + 1))
    for drill in document.drills:
        for moment in (drill.start_ns, drill.until_ns):
            if moment is not None:
                (before if moment <= now_ns else after).append(moment)
    return max(before, default=None), min(after, default=None)
