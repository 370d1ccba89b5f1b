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

    `probes` returns datacenter, probe, and whether it is up; `savers` return the status of their files, `tasks` that of
    the audit and of each reaction; `history` reads the audit, None where none is kept, and `recent` has the newest of
    it; `audit_breaks` returns how often records of the audit were found missing or changed.
    """

    probes: Callable[[], Iterable[tuple[str, str, bool]]] = tuple
    savers: Sequence[Callable[[], SaveStatus]] = ()
    tasks: Sequence[Callable[[], TaskStatus]] = ()
    history: HistoryReader | None = None
    audit_breaks: Callable[[], int] = lambda: 0
    recent: RecentChanges = field(default_factory=RecentChanges)
