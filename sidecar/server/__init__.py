"""The gRPC face of the routing table: what schedulers call."""

from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings

__all__ = ["Server", "ServerSettings"]
