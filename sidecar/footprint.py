"""Estimates the memory that a routing document needs while it is read, before there is more of it than fits."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024

# Measured, in bytes, rounded up: what the sidecar's memory grows by while a document takes the place of another one of
# the same kind, the audit, the log and the page included. A node is a mapping, a list, a key of one or an item of the
# other; a route is that of an application or a job, a network one of `cidrs`, both beside their nodes.
NODE = 300
ROUTE = 350
NETWORK = 550
BYTE_OF_TEXT = 8

UNLIMITED = 1024 * _MIB
"""Bytes that a document may need where no limit of memory is known: beyond any of 1 MiB, the default bound of texts."""

NACOS_CLIENT = 64 * _MIB
"""Bytes that the client of Nacos needs beside the sidecar, as the chart counts them."""

_SIDECAR = 45 * _MIB
_LEAST = 4 * _MIB


@dataclass(slots=True)
class Footprint:
    """Adds up the estimated bytes of a document's parts, of which `allowed` bytes may be needed."""

    allowed: int
    needed: int = 0

    def add(self, count: int) -> bool:
        """Add so many bytes; return whether the document still fits."""
        self.needed += count
        return self.needed <= self.allowed

    def excess(self) -> str:
        """Return the error for a document that does not fit, with the remedy."""
        return (
            f"found a document that needs {self.needed / _MIB:.1f} MiB of memory up to here, {self.allowed / _MIB:.1f} "
            "MiB are allowed: shorten it, or raise --max-memory or the limit of the control group (with the chart, "
            "`applications`)"
        )


def document_budget(limit: int | None, *, beside: int = 0) -> int:
    """Return how many bytes a document may need, from the memory limit of the process; None for no limit.

    A tenth of the limit stays free; the sidecar without a document needs 45 MiB, and `beside` bytes more. Documents
    of 4 MiB are always allowed.
    """
    if limit is None:
        return UNLIMITED
    return min(UNLIMITED, max(_LEAST, limit * 9 // 10 - _SIDECAR - beside))
