"""`dc-sidecar top`: what runs where, the sidecars and the latest events, live in the terminal."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from sidecar.audit.journal_reader import FOLDER, newest_first
from sidecar.audit.wording import event_text
from sidecar.cli.app_rows import AppRow, app_rows, next_text, with_workers, workers_text
from sidecar.cli.commands.apps import AppsCommand, asked_sidecars, document_of_key, moves_of, observed_by
from sidecar.cli.commands.status import age_text
from sidecar.cli.options.flags import Key, open_key
from sidecar.cli.options.values import TIMEOUT
from sidecar.cli.sidecars import Connect, Endpoint, live_workers, statuses
from sidecar.errors import ConfigError, SidecarError
from sidecar.routing.wording import shares_text
from sidecar.routing.zone import show_time

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sidecar.client import Status

_EVENTS = 6
_STATUS_S = 0.5
_WITH_WORKERS = 50
# Lines that head, fleet, events and borders take beside the rows.
_OTHER_LINES = 10

_EPILOG = """\b
Examples:
  dc-sidecar top
  dc-sidecar top --every 5s --state-dir /var/lib/dc-sidecar
  dc-sidecar top --once"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame: rows with trouble first, the sidecars, the newest events; `error` is why rows are old."""

    at_ns: int
    rows: Sequence[AppRow] = ()
    fleet: Sequence[tuple[Endpoint, Status | SidecarError]] = ()
    events: Sequence[tuple[int, str]] = ()
    error: str = ""


@click.command("top", short_help="Show what runs where, live, trouble first.", cls=AppsCommand, epilog=_EPILOG)
@click.option(
    "--every", type=TIMEOUT, default="2s", show_default=True, metavar="DURATION", help="Time between refreshes."
)
@click.option("--once", is_flag=True, help="Print one frame, and exit.")
@click.option("--state-dir", "flag_state_dir", metavar="PATH", help="State directory of a sidecar, for events.")
@click.pass_context
def command(ctx: click.Context, /, *, every: float, once: bool, **_: Any) -> None:  # noqa: ANN401 - flags of the source
    """Show what runs where, live: trouble first, then the latest moves.

    Ends with Ctrl-C. Needs the package rich (the extra `top`).
    """
    try:
        from rich.console import Console
        from rich.live import Live
    except ModuleNotFoundError as error:
        raise ConfigError(f"top needs the package {error.name!r}: pip install '.[top]' in a checkout") from error
    if not once and not sys.stdout.isatty():
        raise click.UsageError("top needs a terminal: pass --once, or use `dc-sidecar apps`", ctx)
    key = open_key(ctx)
    endpoints, connect = asked_sidecars(ctx, key)
    console = Console()
    frame = look(key, endpoints, connect)
    if once:
        console.print(picture(frame, str(key.target), console.height or 24))
        return
    with Live(
        picture(frame, str(key.target), console.height), console=console, screen=True, auto_refresh=False
    ) as live:
        interrupts = _note_interrupts()
        while not interrupts:
            time.sleep(every)
            frame = look(key, endpoints, connect, frame)
            live.update(picture(frame, str(key.target), console.height), refresh=True)
    raise KeyboardInterrupt


def _note_interrupts() -> list[int]:
    """Return a list that each Ctrl-C enters, beside raising KeyboardInterrupt: a callback of gRPC may swallow that."""
    interrupts: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    return interrupts


def look(key: Key, endpoints: Sequence[Endpoint], connect: Connect, before: Frame | None = None) -> Frame:
    """Return the current frame; where the key cannot be read, with the rows of the frame before, and the error."""
    now_ns = time.time_ns()
    fleet = statuses(endpoints, connect, _STATUS_S)
    try:
        document = document_of_key(key)
    except SidecarError as error:
        return Frame(at_ns=now_ns, rows=before.rows if before else (), fleet=fleet, error=str(error))
    rows = sorted(app_rows(document, now_ns, observed_by(fleet), moves_of(key, 0) or {}), key=_urgency)
    named = [row.app for row in rows[:_WITH_WORKERS] if row.app]
    seen = live_workers(endpoints, connect, named, document.revision) if named else {}
    rows = sorted((with_workers(row, seen.get(row.app)) for row in rows), key=_urgency)
    return Frame(at_ns=now_ns, rows=rows, fleet=fleet, events=_events(key))


def _urgency(row: AppRow) -> tuple[bool, int]:
    return not row.failing, -row.since.at_ns if row.since else 0


def _events(key: Key) -> list[tuple[int, str]]:
    state_dir = key.option("state-dir")
    folder = Path(state_dir) / FOLDER if state_dir is not None else None
    if folder is None or not folder.is_dir():
        return []
    records = islice((one for one in newest_first(folder) if one.source == key.source.url), _EVENTS)
    return [
        (one.at_ns, "; ".join(f"{event.kind.value}: {event_text(event, 3)}" for event in one.events)) for one in records
    ]


def picture(frame: Frame, target: str, height: int) -> RenderableType:
    """Return a frame as it is drawn in so many lines."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    failing = sum(row.failing for row in frame.rows)
    head = Text.assemble((target, "bold"), f"  {show_time(frame.at_ns)}  {len(frame.rows):,} rows, ")
    head.append(f"{failing:,} failing", style="red" if failing else "green")
    parts: list[RenderableType] = [head]
    if frame.error:
        parts.append(Text(f"the rows are old: {frame.error}", style="red"))
    room = max(3, height - _OTHER_LINES - len(frame.fleet) - len(frame.events))
    parts.append(_apps_table(frame.rows[:room]))
    if len(frame.rows) > room:
        parts.append(Text(f"and {len(frame.rows) - room:,} more", style="dim"))
    sidecars = Table(box=None, pad_edge=False, header_style="bold")
    # A long address gives way: what the sidecar serves is what one looks for.
    for name, width in (("SIDECAR", None), ("STATE", 12), ("REVISION", 14), ("CONFIRMED", 11)):
        sidecars.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for endpoint, status in frame.fleet:
        if isinstance(status, SidecarError):
            sidecars.add_row(Text(endpoint.address), Text("no answer", style="red"))
        else:
            state, age = status.source_state.name, age_text(status.confirmed_at_ms)
            sidecars.add_row(*map(Text, (endpoint.address, state, status.revision or "none", age)))
    parts += [Text(""), sidecars]
    if frame.events:
        parts += [Text(""), *(Text(f"{show_time(at_ns)}  {text}", no_wrap=True) for at_ns, text in frame.events)]
    return Group(*parts)


def _apps_table(rows: Sequence[AppRow]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    lines = []
    for row in rows:
        workers = workers_text(row.workers, [name for name, _ in row.shares.by_datacenter])
        since = show_time(row.since.at_ns) if row.since else ""
        lines.append((row.app or "(default)", shares_text(row.shares), row.why, since, next_text(row), workers))
    heads = ("APPLICATION", "RUNS IN", "WHY", "SINCE", "NEXT", "WORKERS")
    # A column that nothing fills is left out, as by `apps`.
    kept = [index for index in range(len(heads)) if index < 3 or any(line[index] for line in lines)]
    apps = Table(box=None, pad_edge=False, header_style="bold")
    for index in kept:
        apps.add_column(heads[index], no_wrap=True, overflow="ellipsis", min_width=12 if index < 2 else None)
    for row, line in zip(rows, lines, strict=True):
        apps.add_row(*(Text(line[index]) for index in kept), style="red" if row.failing else None)
    return apps
