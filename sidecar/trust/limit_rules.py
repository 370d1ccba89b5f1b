"""The limits of what one document may change at once, as the option --max-change names them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

_RULE = re.compile(r"(apps|down|left)(?::([^=]+))?=([0-9]{1,6})")


class LimitKind(Enum):
    """The quantity that a rule limits."""

    APPS = "apps"  # applications whose serving datacenters change
    DOWN = "down"  # datacenters that are out of service together
    LEFT = "left"  # datacenters that are left in service, the least


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A rule: a number, and for LEFT the pattern of the applications that it is about."""

    kind: LimitKind
    number: int
    pattern: str = "*"

    def __str__(self) -> str:
        pattern = f":{self.pattern}" if self.pattern != "*" else ""
        return f"{self.kind.value}{pattern}={self.number}"

    def covers(self, app: str) -> bool:
        """Return whether the rule is about an application; "" stands for those without a route of their own."""
        return fnmatchcase(app, self.pattern)


def read_limit(text: str) -> LimitRule | None:
    """Return the value of --max-change, such as `apps=50`, `down=1` or `left:payments-*=2`; None for an invalid one."""
    found = _RULE.fullmatch(text.strip())
    if found is None or (found[2] and found[1] != "left"):
        return None
    return LimitRule(LimitKind(found[1]), int(found[3]), found[2] or "*")
