"""`dc-sidecar apps`: which application runs where, why, since when, and what comes next."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidecar.audit.journal_reader import FOLDER, matching, newest_first
from sidecar.cli.app_rows import AppRow, LastMove, Observed, app_rows, last_moves, next_text, with_workers, workers_text
from sidecar.cli.options import complete
from sidecar.cli.options.contexts import chosen
from sidecar.cli.options.flags import (
    DEFAULT_ADDRESS,
    Flag,
    Key,
    SourceCommand,
    open_key,
    operator_flags,
    output_flag,
    tls_flags,
)
from sidecar.cli.options.values import SINCE
from sidecar.cli.render import Style, columns, dim, print_json, print_lines, say, styled
from sidecar.cli.sidecars import Connect, Endpoint, connecting, live_workers, resolve, statuses, use_tls
from sidecar.errors import ChangeRefused, ConfigError, DocumentRejected, SidecarError
from sidecar.routing.document import parse_document
from sidecar.routing.model import Active, Ramp, RoutingDocument, Split
from sidecar.routing.outage import Fault, FaultKind, Outage, OutageKind, unhealthy
from sidecar.routing.plain import outage_plain
from sidecar.routing.scalars import format_time
from sidecar.routing.wording import shares_text
from sidecar.routing.zone import show_time
from sidecar.sources.base import Content

if TYPE_CHECKING:
    from sidecar.client import Status

# Of how many rows live workers are asked for, and how many records are searched for moves.
_WITH_WORKERS = 200
_RECORDS = 2_000
_STATUS_S = 0.5
_KINDS = {Active: "active", Split: "split", Ramp: "ramp"}

_EPILOG = """\b
Examples:
  dc-sidecar apps
  dc-sidecar apps --failing --wide
  dc-sidecar apps --datacenter dc2 --moved-since 1h -o json"""


class AppsCommand(SourceCommand):
    """A command that reads the key and asks sidecars for outages."""

    def more_flags(self) -> list[Flag]:
        """Return the options of sidecars and of the output."""
        flags = operator_flags()
        for one in flags:
            one.hidden = one.name != "flag_sidecar"
        return [*flags, *tls_flags("Sidecars"), output_flag()]


@click.command("apps", short_help="List applications: what runs where, and why.", cls=AppsCommand, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[APP]...", shell_complete=complete.apps)
@click.option(
    "--datacenter",
    metavar="DC",
    help="Only those with a share in this datacenter.",
    shell_complete=complete.datacenters,
)
@click.option("--moved-since", type=SINCE, metavar="TIME", help="Only those that moved since a time, or within 1h.")
@click.option("--failing", is_flag=True, help="Only those whose work is displaced, nowhere, or short of workers.")
@click.option("--wide", is_flag=True, help="Show backups, minimum of workers and jobs too.")
@click.option("--state-dir", "flag_state_dir", metavar="PATH", help="State directory of a sidecar, for SINCE.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    *,
    datacenter: str | None,
    moved_since: int | None,
    failing: bool,
    wide: bool,
    output: str,
    **_: Any,  # noqa: ANN401 - flags of the source
) -> None:
    """List the applications of the document: what runs where, and why.

    Outages and live workers come from the sidecars, the time of the last move
    from the audit in a sidecar's --state-dir. "(default)" is every other
    application.
    """
    key = open_key(ctx)
    document = document_of_key(key)
    unknown = [name for name in names if name not in document.apps]
    if unknown:
        raise ChangeRefused(f"the document names no application {', '.join(unknown)}: by the default route")
    moved = moves_of(key, moved_since or 0)
    if moved_since is not None and moved is None:
        raise ConfigError("--moved-since needs the audit: name the --state-dir of a sidecar that follows the key")
    endpoints, connect = asked_sidecars(ctx, key)
    seen = observed_by(statuses(endpoints, connect, _STATUS_S))
    rows = app_rows(document, time.time_ns(), seen, moved or {})
    found = [
        row
        for row in rows
        if (not names or row.app in names)
        and (datacenter is None or row.serves(datacenter))
        and (moved_since is None or row.since is not None)
    ]
    if failing or len(found) <= _WITH_WORKERS:
        asked = [row.app for row in found if row.app]
        workers = live_workers(endpoints, connect, asked, document.revision) if asked else {}
        found = [with_workers(row, workers.get(row.app)) for row in found]
    if failing:
        found = [row for row in found if row.failing]
    if output == "json":
        print_json([row_plain(row) for row in found])
    elif found:
        print_lines(columns(table(found, wide=wide)))
    else:
        say("No application matches.")


def document_of_key(key: Key) -> RoutingDocument:
    """Return the document that the key holds. Raises ChangeRefused where there is no valid one, and SourceError."""
    from sidecar.cli.change import current_of

    found = key.source.read(key.timeout)
    if isinstance(found, Content):
        # Without the places of its parts, which only changes need and which take as long again.
        with suppress(DocumentRejected):
            return parse_document(found.text, max_bytes=key.max_bytes)
    return current_of(found, key.target, key.max_bytes).valid()[1]


def moves_of(key: Key, since_ns: int) -> dict[str, LastMove] | None:
    """Return the last moves since a time by the audit, None where there is none."""
    state_dir = key.option("state-dir")
    folder = Path(state_dir) / FOLDER if state_dir is not None else None
    if folder is None or not folder.is_dir():
        return None
    mine = (record for record in newest_first(folder) if record.source == key.source.url)
    return last_moves(islice(matching(mine, None, since_ns), _RECORDS))


def asked_sidecars(ctx: click.Context, key: Key) -> tuple[list[Endpoint], Connect]:
    """Return the sidecars of an AppsCommand, and how to connect to them. Raises ConfigError."""
    if key.target.context:
        use_tls(ctx, chosen(key.target.context))
    return resolve(key.values["sidecar"].texts or (DEFAULT_ADDRESS,)), connecting(ctx.params)


def observed_by(fleet: Iterable[tuple[Endpoint, Status | SidecarError]]) -> Observed:
    """Return the outages that sidecars found, of those that answered."""
    for_all: dict[str, Outage] = {}
    failed_over: dict[str, dict[str, Outage]] = {}
    for _, status in fleet:
        for outage in status.outages if not isinstance(status, SidecarError) else ():
            fault = outage.fault or Fault(FaultKind.OTHER, text=outage.reason)
            if outage.kind is OutageKind.FAILED_OVER:
                found = Outage(outage.kind, since_ns=outage.since_ms * 1_000_000, fault=fault)
                failed_over.setdefault(outage.app, {})[outage.datacenter] = found
            elif outage.kind is OutageKind.UNHEALTHY and not outage.app:
                for_all[outage.datacenter] = unhealthy(fault)
    return Observed(unhealthy=for_all, failed_over=failed_over)


def table(rows: Iterable[AppRow], *, wide: bool = False) -> list[tuple[str, ...]]:
    """Return the rows of a table, its head first; a column that nothing fills is left out."""
    head = ("APPLICATION", "RUNS IN", "WHY", "SINCE", "NEXT", "WORKERS", *(("BACKUPS", "MIN", "JOBS") if wide else ()))
    cells = [_cells(row, wide=wide) for row in rows]
    kept = [index for index in range(len(head)) if index < 3 or any(line[index] for line in cells)]
    return [tuple(line[index] for index in kept) for line in (head, *cells)]


def _cells(row: AppRow, *, wide: bool) -> tuple[str, ...]:
    goes = shares_text(row.shares)
    route = row.resolved.route
    return (
        row.app or dim("(default)"),
        styled(goes, Style.RED) if row.failing else goes,
        row.why + (f"; short of workers in {', '.join(row.short)}" if row.short else ""),
        show_time(row.since.at_ns) if row.since else "",
        next_text(row),
        workers_text(row.workers, [name for name, _ in row.shares.by_datacenter]),
        *((", ".join(route.backups), str(route.min_workers), str(row.jobs)) if wide else ()),
    )


def row_plain(row: AppRow) -> dict[str, Any]:
    """Return a row as `-o json` prints it; `app` is null for every other application."""
    route = row.resolved.route
    counts: Mapping[str, int] | None = row.workers.counts if row.workers else None
    return {
        "app": row.app or None,
        "kind": _KINDS.get(type(route.selector), "none"),
        "destination": row.shares.destination.value,
        "shares": {name: round(share, 6) for name, share in row.shares.by_datacenter},
        "why": row.why,
        "failing": row.failing,
        "outages": [{"datacenter": name, **outage_plain(outage)} for name, outage in row.outages.items()],
        "since": format_time(row.since.at_ns) if row.since else None,
        "moved_by": row.since.text if row.since else None,
        "next": {"at": format_time(row.next_step.at_ns), "what": row.next_step.text} if row.next_step else None,
        "workers": dict(counts) if counts is not None else None,
        "short_of_workers": list(row.short),
        "backups": list(route.backups),
        "min_workers": route.min_workers,
        "jobs": row.jobs,
    }
