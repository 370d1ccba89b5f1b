"""Who must sign which changes, as options name it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.trust.changed_parts import ChangedParts

_FOR = re.compile(r"([^=]+)=([^=]+)")
_FEWER = re.compile(r"(drill|mark|pin)=([1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class AppSigners:
    """Who may sign changes of the applications that match a pattern (`*` and `?`)."""

    pattern: str
    names: tuple[str, ...]

    def covers(self, parts: ChangedParts) -> bool:
        """Return whether a change touches such an application; a change for all touches each."""
        return parts.every_app or any(fnmatchcase(app, self.pattern) for app in parts.apps)


def read_app_signers(text: str) -> AppSigners | None:
    """Return the value of --signers-for, such as `payments-*=alice,bob`; None for an invalid one."""
    found = _FOR.fullmatch(text.strip())
    names = tuple(name for name in re.split(r"[,\s]+", found[2].strip()) if name) if found else ()
    return AppSigners(found[1].strip(), names) if found and names and found[1].strip() else None


def read_fewer(text: str) -> tuple[str, int] | None:
    """Return the value of --fewer-signatures, such as `drill=1`; None for an invalid one."""
    found = _FEWER.fullmatch(text.strip())
    return (found[1], int(found[2])) if found else None
