"""`dc-sidecar history`: what changed, who changed it and why, and when it took effect here."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidecar import config
from sidecar.audit.consumer import TaskFailed
from sidecar.audit.diff import diff_lines
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal_reader import FOLDER, matching, newest_first, verify
from sidecar.audit.record import Record
from sidecar.audit.service import database_url, open_database
from sidecar.audit.wording import event_text
from sidecar.cli.moments import SINCE
from sidecar.cli.output import print_json, say
from sidecar.cli.showing import difference_lines
from sidecar.errors import ConfigError, SidecarError
from sidecar.routing.scalars import SECOND_NS, format_time

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

_WIDTH = 79
_MARGIN = 22
_MOST = 10_000
_NAMED = 3
_BAD = frozenset({EventKind.REFUSED, EventKind.MISSING, EventKind.FAILOVER, EventKind.LOST, EventKind.OVERRIDE_STARTED})
_EPILOG = """\b
Examples:
  dc-sidecar history --state-dir /var/lib/dc-sidecar
  dc-sidecar history --config sidecar.yaml --app billing --since 24h
  dc-sidecar history show 3a7f09c21b44 --config sidecar.yaml
  dc-sidecar history diff 3a7f 9c21 --config sidecar.yaml
  dc-sidecar history --fleet --config sidecar.yaml
  dc-sidecar history verify --config sidecar.yaml"""


class NotRecorded(SidecarError):
    """The audit has no such thing."""

    exit_code = 3


class DatabaseAway(SidecarError):
    """The shared database cannot be asked."""

    exit_code = 6


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that tell where the audit is, and the output's."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--fleet", is_flag=True, help="Of all sidecars, from the shared database."),
        click.option("--audit-db", metavar="URL", help="The shared database, for --fleet."),
        click.option(
            "-o",
            "--output",
            type=click.Choice(["table", "json"]),
            default="table",
            show_default=True,
            help="For people or for programs.",
        ),
        click.option("--config", "config_file", type=path, metavar="PATH", help="The sidecar's configuration."),
        click.option("--state-dir", type=path, metavar="PATH", help="The sidecar's state directory."),
    ):
        command = option(command)
    return command


@click.group("history", invoke_without_command=True, epilog=_EPILOG)
@click.option("--app", metavar="APP", help='Only what moved this application; "default" for all without a route.')
@click.option("--since", type=SINCE, metavar="TIME", help="Only since a time, or for so long.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest N changes.")
@_where
@click.pass_context
def command(
    ctx: click.Context,
    /,
    app: str | None,
    since: int | None,
    limit: int,
    **where: Any,  # noqa: ANN401 - the flags of all
) -> None:
    """Show what changed, the newest last: by whom, why, and what it moved.

    Every sidecar with a --state-dir keeps this record: each document that it
    took over or refused, failovers and returns, steps of ramps, starts and
    ends of drills.
    """
    ctx.obj = where
    if ctx.invoked_subcommand is not None:
        return
    found = list(islice(matching(_records(where), app, since or 0), limit))[::-1]
    if where["output"] == "json":
        print_json([record.outline() for record in found])
    elif found:
        click.echo("\n".join(line for record in found for line in _lines(record)))
    else:
        say("Nothing is recorded that fits.")


@command.command("show")
@click.argument("revision")
@_where
@click.pass_obj
def show(outer: dict[str, Any], /, revision: str, **where: Any) -> None:  # noqa: ANN401 - the flags of all
    """Show a document, and what it changed.

    REVISION, or its beginning, names it; of several times the newest is shown.
    """
    record = _of(_records(where, outer), revision)
    if _chosen(where, outer, "output") == "json":
        print_json(record.shown())
        return
    click.echo("\n".join(_lines(record)))
    for name, value in (("changed", ", ".join(sorted(record.apps))), ("source", record.source), *record.meta.items()):
        if value:
            click.echo(f"{name}: {value}")
    if record.difference:
        click.echo("\n".join(["", *difference_lines(record.difference)]))
    click.echo(f"\n{record.text}", nl=not record.text.endswith("\n"))


@command.command("diff")
@click.argument("before")
@click.argument("after")
@_where
@click.pass_obj
def diff(outer: dict[str, Any], /, before: str, after: str, **where: Any) -> None:  # noqa: ANN401 - the flags of all
    """Show what differs between two documents."""
    one, other = _of(_records(where, outer), before), _of(_records(where, outer), after)
    lines = diff_lines(one.text, other.text)
    if _chosen(where, outer, "output") == "json":
        print_json({"before": one.changed, "after": other.changed, "difference": lines})
    else:
        click.echo("\n".join(difference_lines([f"--- {one.changed}", f"+++ {other.changed}", *lines])))


@command.command("verify")
@_where
@click.pass_obj
def check(outer: dict[str, Any], /, **where: Any) -> int:  # noqa: ANN401 - the flags of all
    """Prove that nothing was changed or removed.

    Exits with 1, naming the place, if something was.
    """
    verdict = verify(_folder(where, outer))
    if _chosen(where, outer, "output") == "json":
        print_json({"good": not verdict.problems, "records": verdict.records, "problems": list(verdict.problems)})
    elif verdict.problems:
        click.echo("\n".join(verdict.problems))
    else:
        span = f", numbers {verdict.first} to {verdict.last}" if verdict.records else ""
        click.echo(f"{verdict.records} records{span}: all as they were written, none missing")
    return 1 if verdict.problems else 0


def _settings(*given: dict[str, Any]) -> config.Settings:
    """Return the configuration by the flags of a command or of the group. Raises ConfigError."""
    flags = {}
    for option, key in (("state-dir", "state_dir"), ("config", "config_file"), ("audit-db", "audit_db")):
        named = next((where[key] for where in given if where[key] is not None), None)
        if named is not None:
            flags[option] = [str(named)]
    return config.settings_of(config.resolve(flags, os.environ))


def _records(*given: dict[str, Any]) -> Iterator[Record]:
    """Return the records, the newest first, of this sidecar or of the fleet. Raises ConfigError, DatabaseAway."""
    if not any(where["fleet"] for where in given):
        return newest_first(_folder(*given))
    url = database_url(_settings(*given))
    if not url:
        raise ConfigError("which database? Name it with --audit-db, DC_SIDECAR_AUDIT_DB, or its file with --config")
    return _of_fleet(open_database(url, sidecar=""))


def _of_fleet(shared: AuditDatabase) -> Iterator[Record]:
    with closing(shared):
        try:
            for record, _ in shared.newest_first(_MOST):
                yield record
        except TaskFailed as error:
            raise DatabaseAway(str(error)) from None


def _folder(*given: dict[str, Any]) -> Path:
    """Return the folder of the journal. Raises ConfigError."""
    state_dir = _settings(*given).state_dir
    if state_dir is None:
        raise ConfigError(
            "where is the audit? Name the sidecar's --state-dir, DC_SIDECAR_STATE_DIR, or its file with --config"
        )
    folder = state_dir / FOLDER
    if not folder.is_dir():
        raise ConfigError(f"there is no audit in {state_dir}: no sidecar has kept one there yet")
    return folder


def _chosen(where: dict[str, Any], outer: dict[str, Any], name: str) -> str:
    return "json" if "json" in (where[name], outer[name]) else "table"


def _of(records: Iterable[Record], revision: str) -> Record:
    """Return the newest record of a document whose revision begins so. Raises NotRecorded for none and for several."""
    found: dict[str, Record] = {}
    for record in records:
        if record.text and record.changed.startswith(revision):
            found.setdefault(record.changed, record)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise NotRecorded(f"{revision} is the beginning of {' and '.join(found)}: say more of the one you mean")
    raise NotRecorded(f"no recorded document has the revision {revision}: `dc-sidecar history` lists those that are")


def _lines(record: Record) -> Iterator[str]:
    """Yield a record in lines of 80 columns: when, which document, who and why; then what it means."""
    moment = format_time(record.at_ns // SECOND_NS * SECOND_NS)
    document = f"{record.before or 'nothing'} → {record.changed}" if record.changed else record.revision
    who = str(record.meta.get("by") or record.origin.get("user") or "")
    why = ": ".join(part for part in (who, str(record.meta.get("reason") or "")) if part)
    yield from _hanging(click.style(moment, bold=True), f"{document}  {why}".strip())
    for event in record.events:
        yield from _hanging(_coloured(event), event_text(event, _NAMED))


def _hanging(head: str, text: str) -> Iterator[str]:
    """Yield a text in lines that stand to the right of a head, which may be styled."""
    margin = " " * _MARGIN
    pad = " " * (_MARGIN - len(click.unstyle(head)))
    for line in textwrap.wrap(text, _WIDTH - _MARGIN, break_on_hyphens=False) or [""]:
        yield (head + pad + line).rstrip()
        head, pad = "", margin


def _coloured(event: AuditEvent) -> str:
    return click.style(f"  {event.kind.value}", fg="yellow" if event.kind in _BAD else "green")
