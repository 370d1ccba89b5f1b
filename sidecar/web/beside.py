"""What a sidecar has beside its table and its calls, as far as HTTP shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sidecar.durable import Saved
from sidecar.web.history import Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Each is asked anew for every answer.

    `probes` returns datacenter, probe, and whether it is up; `savers` tell how their files stand; `history` tells the
    audit, None where none is kept.
    """

    probes: Callable[[], Iterable[tuple[str, str, bool]]] = tuple
    savers: Sequence[Callable[[], Saved]] = ()
    history: Tell | None = None
