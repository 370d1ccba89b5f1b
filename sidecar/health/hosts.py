"""The hosts that probes may reach: those that the sidecar's own configuration allows, and no others."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from sidecar.config.hosts import HostPattern
from sidecar.errors import ProbeNotAllowed
from sidecar.routing.model import Probe


class AllowedHosts:
    """The patterns of `--probe-hosts`. Without any, no host may be probed."""

    def __init__(self, patterns: Iterable[HostPattern]) -> None:
        self._patterns = tuple(patterns)

    def might(self, probe: Probe) -> bool:
        """Return whether the probe may be allowed, as far as is known without asking for addresses."""
        address = _address(probe.host)
        return any(
            pattern.admits_name(probe.host)
            or (pattern.network is not None and (address is None or address in pattern.network))
            for pattern in self._patterns
            if pattern.port in {None, probe.port}
        )

    def addresses(self, probe: Probe) -> list[str]:
        """Return the addresses of the probe's host that it may reach.

        A name that is allowed may stand for any address; one that is not, for those in an allowed network. Asks the
        resolver, which may take long. Raises OSError where it knows no address, ProbeNotAllowed where none may be
        reached.
        """
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(probe.host, probe.port, type=socket.SOCK_STREAM)]
        patterns = [pattern for pattern in self._patterns if pattern.port in {None, probe.port}]
        if not any(pattern.admits_name(probe.host) for pattern in patterns):
            networks = [pattern.network for pattern in patterns if pattern.network is not None]
            found = [text for text in found if any(_address(text) in network for network in networks)]
        if not found:
            raise ProbeNotAllowed(f"{probe.host} has no address that --probe-hosts allows")
        return list(dict.fromkeys(found))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
