"""The safety rules by name, and the settings that an operator has."""

from __future__ import annotations

from dataclasses import dataclass

RULES = {
    "same": "the change has no effect: every job stays where it is",
    "workers": "a datacenter that gets jobs has too few live workers",
    "out-of-service": "a route would have no datacenter left that is in service",
    "hold-off": "the last change is too recent",
    "signed": "the document in the key is signed, and the new one would not be",
    "reason": "the configuration requires a reason, and none is given",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyRules:
    """The requirements of the rules: seconds since the last change, live workers of a target, a reason.

    `require_workers` of None requires one worker wherever the workers are known, and none where they are not.
    """

    hold_off: float = 60.0
    require_workers: int | None = None
    require_reason: bool = False
