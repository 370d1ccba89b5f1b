"""The address that this client reports to Nacos: gray (beta) versions are published for addresses."""

from __future__ import annotations

import socket

import psutil


def client_address() -> str:
    """Return the machine's first IPv4 address that is not loopback, by the SDK's own rule; else 127.0.0.1.

    The SDK fails where there is none, so it gets this one. The console lists it among the listening clients.
    """
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET and not address.address.startswith("127."):
                return address.address
    return "127.0.0.1"
