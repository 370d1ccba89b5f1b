"""Chooses the threads that read connections: the one that answers calls, or gRPC's own.

docs/decisions/0903-reading.md has the figures of both.
"""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping, Sequence

from sidecar.server.listeners import TcpAddress, parse_addresses

log = logging.getLogger(__name__)

_VARIABLE = "GRPC_EXPERIMENTS"
_FEATURE = "event_engine_listener"


def choose_reading(reading: str, listen: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> None:
    """Have gRPC read connections as `--call-reading` says: `direct`, `threads`, or `auto`.

    `auto` takes threads where one of the addresses to listen on can be reached from other machines. gRPC reads its
    variable when it is imported, so this must come before; worker processes inherit it. Where the operator has chosen
    by that variable, the choice stands. Raises ConfigError for addresses that cannot be parsed or resolved.
    """
    chosen = environ.get(_VARIABLE, "")
    if _FEATURE in chosen:
        return
    if reading == "auto":
        open_to = [each for each in parse_addresses(listen) if isinstance(each, TcpAddress) and each.reachable()]
        reading = "threads" if open_to else "direct"
        if open_to:
            log.info("connections are read on threads of their own, as other machines can connect to %s", open_to[0])
    feature = _FEATURE if reading == "threads" else f"-{_FEATURE}"
    environ[_VARIABLE] = f"{chosen},{feature}" if chosen else feature
