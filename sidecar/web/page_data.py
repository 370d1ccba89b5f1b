"""The parts of a sidecar, beside its table and its calls, that HTTP shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.atomic_file import SaveStatus
from sidecar.counters import TaskStatus
from sidecar.web.history import HistoryReader
from sidecar.web.recent_changes import RecentChanges

if TYPE_CHECKING:
    from sidecar.followers.registry import Follower
    from sidecar.followers.xds_clients import XdsClients


def _no_workers(_app: str) -> tuple[Mapping[str, int], int]:
    return {}, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """Each part is asked again for every answer.

    `probes` returns datacenter, probe, and whether it is up; `savers` return the status of their files, `tasks` that of
    the audit and of each reaction; `held_s` returns for how long one event has kept the thread that answers gRPC, 0
    while it turns; `memory_high` whether requests are refused because memory is short; `history` reads the audit, None
    where none is kept, and `recent` has the newest of it; `audit_breaks` returns how often records of the audit were
    found missing or changed. `live_workers` returns the workers of the newest dispatch of an application, by
    datacenter, and when it came (in Unix nanoseconds): none, at 0, where that is not known. `followers` returns who
    follows the shares, None where no follower is configured; `xds_clients` the clients of xDS, None
    where it is not served.
    """

    probes: Callable[[], Iterable[tuple[str, str, bool]]] = tuple
    savers: Sequence[Callable[[], SaveStatus]] = ()
    tasks: Sequence[Callable[[], TaskStatus]] = ()
    held_s: Callable[[], float] = float
    memory_high: Callable[[], bool] = bool
    history: HistoryReader | None = None
    audit_breaks: Callable[[], int] = lambda: 0
    live_workers: Callable[[str], tuple[Mapping[str, int], int]] = _no_workers
    followers: Callable[[], Iterable[Follower]] | None = None
    xds_clients: XdsClients | None = None
    recent: RecentChanges = field(default_factory=RecentChanges)
