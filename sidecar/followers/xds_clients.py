"""The clients of xDS as the JSON API and the metrics show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A client's rejection of a version; it keeps the one before."""

    version: str
    message: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A client's subscription to one type, and the versions sent and acknowledged.

    `names` are the first of `count`. `sent` and `acknowledged` are versions, "" for none; `rejection` is set while the
    version sent last is rejected.
    """

    type: str
    names: tuple[str, ...]
    count: int
    sent: str = ""
    acknowledged: str = ""
    acknowledged_at_ns: int = 0
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class XdsClient:
    """One client, as it names itself, with the address of its connection; `seen_ns` is when it last sent something."""

    node: str
    cluster: str
    agent: str
    address: str
    protocol: str
    connected: bool
    since_ns: int
    seen_ns: int
    subscriptions: tuple[Subscription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsStatus:
    """The file of endpoints: its content in force, and the `problem` of a newer content that is not, "" for none."""

    file: str
    revision: str
    applications: int
    endpoints: int
    problem: str


@dataclass(frozen=True, slots=True)
class XdsClients:
    """Returns the clients, those that left included for a while; and the responses by type and outcome.

    `endpoints` returns the status of the file of endpoints; it is None where there is no such file.
    """

    all: Callable[[], Sequence[XdsClient]]
    responses: Callable[[], Iterable[tuple[Labels, int]]]
    endpoints: Callable[[], EndpointsStatus] | None = None
