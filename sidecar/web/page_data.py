"""The parts of a sidecar, beside its table and its calls, that HTTP shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sidecar.atomic_file import SaveStatus
from sidecar.counters import TaskStatus
from sidecar.web.history import HistoryReader
from sidecar.web.recent_changes import RecentChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """Each part is asked anew for every answer.

    `probes` returns datacenter, probe, and whether it is up; `savers` return the status of their files, `tasks`
    that of the audit and of each reaction; `held_s` returns for how long one event has kept the thread that answers
    gRPC, 0 while it turns; `history` reads the audit, None where none is kept, and `recent` has the newest of it.
    """

    probes: Callable[[], Iterable[tuple[str, str, bool]]] = tuple
    savers: Sequence[Callable[[], SaveStatus]] = ()
    tasks: Sequence[Callable[[], TaskStatus]] = ()
    held_s: Callable[[], float] = float
    history: HistoryReader | None = None
    recent: RecentChanges = field(default_factory=RecentChanges)
