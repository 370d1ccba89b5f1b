"""Host patterns in options: a name, all names below a domain, or a network, with or without a port."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

# An IPv6 address is in brackets if a port follows.
_PATTERN = re.compile(r"(\[[0-9A-Fa-f:./]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?|([0-9A-Fa-f:./]+)")
_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9_.-]*|\*")


@dataclass(frozen=True, slots=True)
class HostPattern:
    """One host, all hosts below a domain (`*.dc1.example`) or a network, on one port or on any (None)."""

    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    def admits_name(self, host: str) -> bool:
        """Return whether it is a pattern of names that a host's name matches."""
        host = host.lower()
        if self.name.startswith("*"):
            return host.endswith(self.name[1:])
        return self.network is None and host == self.name


def read_pattern(text: str) -> HostPattern | None:
    """Parse a pattern such as `*.dc1.example:443` or `10.0.0.0/8`; return None for an invalid one."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    host, port = (match[1] or match[3]).strip("[]"), int(match[2]) if match[2] else None
    try:
        return HostPattern("", ip_network(host), port)
    except ValueError:
        return HostPattern(host.lower(), None, port) if _NAME.fullmatch(host) else None
