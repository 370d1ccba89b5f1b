"""English for the effect of a change, as commands show it before they write."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.editing.impact import (
    DrillUnderWay,
    JobMovement,
    RampUnderWay,
    StepCause,
    StepKind,
    Subject,
    UnderWay,
)
from sidecar.editing.placement import Place
from sidecar.routing.model import Sticky
from sidecar.routing.shares import Destination
from sidecar.routing.wording import named, percent
from sidecar.routing.zone import show_time

_MAX_UNDER_WAY = 6
_UNITS = {Sticky.JOB: "jobs", Sticky.INSTANCE: "runs"}


def subject_text(subject: Subject) -> str:
    """Return whose jobs."""
    if not subject.app:
        return "every other application"
    return f"{subject.app}/{subject.job}" if subject.job else subject.app


def unit_text(sticky: Sticky) -> str:
    """Return the unit that moves: jobs, or single runs."""
    return _UNITS[sticky]


def place_code(place: Place) -> str:
    """Return a place as JSON names it: a datacenter, `nobody` or `anywhere`."""
    if isinstance(place, str):
        return place
    return "nobody" if place is Destination.NOWHERE else "anywhere"


def cause_text(cause: StepCause) -> str:
    """Return the event that moves jobs later; "" for now."""
    match cause.kind:
        case StepKind.NOW:
            return ""
        case StepKind.RAMP_DONE:
            steps = "its step" if cause.only_step else f"{cause.steps} steps"
            return f"the ramp to {cause.datacenter} has taken {steps}"
        case StepKind.DRILL_STARTS:
            return f"the drill of {cause.datacenter} starts"
        case StepKind.DRILL_ENDS:
            return f"the drill of {cause.datacenter} ends"


def movement_text(movement: JobMovement) -> str:
    """Return whose jobs go from where to where, and where they are then if that is more than one datacenter."""
    subjects = named([subject_text(subject) for subject in movement.subjects])
    if not movement.moves:
        return f"{subjects}: {_afterwards(movement)}"
    moves = ", ".join(
        f"{_amount(movement, move.share)}{_place_text(move.source)} → {_place_text(move.target)}"
        for move in movement.moves
    )
    rest = f" (then {_afterwards(movement)})" if len(movement.shares) > 1 else ""
    return f"{subjects}: {moves}{rest}"


def under_way_texts(found: Iterable[UnderWay]) -> list[str]:
    """Return which ramps and drills are on where a change is made; of many the first."""
    texts = [*dict.fromkeys(map(_under_way_text, found))]
    more = len(texts) - _MAX_UNDER_WAY
    return [*texts[:_MAX_UNDER_WAY], f"and {more:,} more"] if more > 0 else texts


def _under_way_text(found: UnderWay) -> str:
    ended = "; this ends it" if found.ended else ""
    match found:
        case DrillUnderWay(drill):
            reason = f" ({drill.reason})" if drill.reason else ""
            return f"a drill has {drill.datacenter} out until {show_time(drill.until_ns)}{reason}{ended}"
        case RampUnderWay(subject, ramp, taken):
            steps = f"{taken} of {ramp.steps} steps taken"
            return f"{subject_text(subject)} is on a ramp from {ramp.source} to {ramp.target}, {steps}{ended}"


def _amount(movement: JobMovement, share: float) -> str:
    if share > 1 - 1e-6:
        single = all(subject.job for subject in movement.subjects)
        return "" if single else f"all {unit_text(movement.sticky)} "
    return f"{percent(share)} of {unit_text(movement.sticky)} "


def _afterwards(movement: JobMovement) -> str:
    if len(movement.shares) == 1:
        return _place_text(movement.shares[0][0])
    return ", ".join(f"{_place_text(place)} {percent(share)}" for place, share in movement.shares)


def _place_text(place: Place) -> str:
    return "any datacenter" if place is Destination.ANYWHERE else place_code(place)
