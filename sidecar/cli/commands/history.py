"""`dc-sidecar history`: print the audit, which is the record of changes: when, by whom, why, and what they moved."""

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
from sidecar.audit.anchor_keys import verifying_key
from sidecar.audit.chain_head import state_witness
from sidecar.audit.diff import diff_lines
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal_reader import FOLDER, matching, newest_first, verify
from sidecar.audit.kept_anchors import KeptAnchors, anchors_in_file, verified_anchors
from sidecar.audit.record import Record
from sidecar.audit.service import database_url, open_database, saved_name
from sidecar.audit.wording import event_text
from sidecar.cli.options.output import OutputFormat
from sidecar.cli.options.values import SINCE
from sidecar.cli.options.zone import utc_option
from sidecar.cli.render import Style, difference_lines, print_json, print_lines, say, styled, width
from sidecar.errors import ConfigError, DatabaseUnavailable, NotRecorded, TaskFailed
from sidecar.routing.zone import show_time

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

_WIDTH = 79
_MARGIN = 27
_MOST = 10_000
_NAMED = 3
_BAD = frozenset(
    {
        EventKind.REFUSED,
        EventKind.MISSING,
        EventKind.FAILOVER,
        EventKind.LOST,
        EventKind.BROKEN,
        EventKind.OVERRIDE_STARTED,
    }
)
_EPILOG = """\b
Examples:
  dc-sidecar history --state-dir /var/lib/dc-sidecar
  dc-sidecar history --config sidecar.yaml --app billing --since 24h
  dc-sidecar history show 3a7f09c21b44 --config sidecar.yaml
  dc-sidecar history diff 3a7f 9c21 --config sidecar.yaml
  dc-sidecar history --fleet --config sidecar.yaml
  dc-sidecar history verify --config sidecar.yaml"""


class _Output(OutputFormat):
    """The formats; `table` is the former name of `text`, and still accepted."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's
        """Return the format of a word."""
        if value == "table":
            say("Warning: -o table is deprecated, use -o text")
            value = "text"
        return super().convert(value, param, ctx)


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the group: where the audit is, and the output format."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--fleet", is_flag=True, help="Read the audit of all sidecars, from the shared database."),
        click.option("--audit-db", metavar="URL", help="The shared database, for --fleet."),
        click.option("-o", "--output", type=_Output(), default="text", show_default=True, help="Output format."),
        click.option("--config", "config_file", type=path, metavar="PATH", help="The sidecar's configuration file."),
        click.option("--state-dir", type=path, metavar="PATH", help="The sidecar's state directory."),
    ):
        command = option(command)
    return utc_option(command)


@click.group(
    "history", short_help="Show what changed, when, by whom and why.", invoke_without_command=True, epilog=_EPILOG
)
@click.option(
    "--app", metavar="APP", help='Only changes that moved this application; "default" for those without a route.'
)
@click.option(
    "--since", type=SINCE, metavar="TIME", help="Only changes since a time, or within a duration such as 24h."
)
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Only the newest N changes."
)
@_shared
@click.pass_context
def command(
    ctx: click.Context,
    /,
    app: str | None,
    since: int | None,
    limit: int,
    **where: Any,  # noqa: ANN401 - the flags of all
) -> None:
    """Show what changed, newest first: by whom, why, and what it moved.

    Every sidecar with a --state-dir keeps this record: documents applied or
    refused, failovers and failbacks, ramp steps, starts and ends of drills.
    """
    ctx.obj = where
    if ctx.invoked_subcommand is not None:
        return
    found = list(islice(matching(_records(where), app, since or 0), limit))
    if where["output"] == "json":
        print_json([record.outline() for record in found])
    elif found:
        print_lines(line for record in found for line in _lines(record))
    else:
        say("No recorded change matches.")


_SHOW = """\b
Examples:
  dc-sidecar history show 3a7f09c21b44 --state-dir /var/lib/dc-sidecar
  dc-sidecar history show 3a7f --config sidecar.yaml -o json"""


@command.command("show", epilog=_SHOW)
@click.argument("revision")
@_shared
@click.pass_obj
def show(outer: dict[str, Any], /, revision: str, **where: Any) -> None:  # noqa: ANN401 - the flags of all
    """Show a recorded document, and what it changed.

    REVISION may be shortened. If it was in force more than once, the newest
    record is shown.
    """
    record = _of(_records(where, outer), revision)
    if _chosen(where, outer, "output") == "json":
        print_json(record.shown())
        return
    print_lines(_lines(record))
    for name, value in (("changed", ", ".join(sorted(record.apps))), ("source", record.source), *record.meta.items()):
        if value:
            print_lines([f"{name}: {value}"])
    if record.difference:
        print_lines(["", *difference_lines(record.difference)])
    print_lines(["", *record.text.removesuffix("\n").split("\n")])


_DIFF = """\b
Examples:
  dc-sidecar history diff 3a7f 9c21 --config sidecar.yaml
  dc-sidecar history diff 3a7f 9c21 --fleet --config sidecar.yaml"""


@command.command("diff", epilog=_DIFF)
@click.argument("before")
@click.argument("after")
@_shared
@click.pass_obj
def diff(outer: dict[str, Any], /, before: str, after: str, **where: Any) -> None:  # noqa: ANN401 - the flags of all
    """Show the difference between two recorded documents."""
    one, other = _of(_records(where, outer), before), _of(_records(where, outer), after)
    lines = diff_lines(one.text, other.text)
    if _chosen(where, outer, "output") == "json":
        print_json({"before": one.changed, "after": other.changed, "difference": lines})
    else:
        print_lines(difference_lines([f"--- {one.changed}", f"+++ {other.changed}", *lines]))


_VERIFY = """\b
Examples:
  dc-sidecar history verify --state-dir /var/lib/dc-sidecar
  dc-sidecar history verify --config sidecar.yaml -o json
  dc-sidecar history verify --config sidecar.yaml --anchors kept.jsonl \\
    --anchor-key sidecar.pub"""


@command.command("verify", epilog=_VERIFY)
@click.option(
    "--anchors",
    "anchors_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Kept anchors: JSON lines, of anchors or of the payloads of webhooks and commands.",
)
@click.option(
    "--anchor-key",
    type=click.Path(path_type=Path),
    metavar="PUBLIC",
    help="The public half of the sidecar's --anchor-key: check against --anchors, and against those in --audit-db.",
)
@_shared
@click.pass_obj
def check(
    outer: dict[str, Any],
    /,
    anchors_file: Path | None,
    anchor_key: Path | None,
    **where: Any,  # noqa: ANN401 - the flags of all
) -> int:
    """Verify that no record was changed or removed.

    Exits with 1, and names the place, if one was. With --audit-db the shared
    database is asked for newer records of this sidecar, too. With --anchor-key
    the records are also checked against anchors that were kept elsewhere.
    """
    settings = _settings(where, outer)
    state_dir = _state_dir(settings)
    witness = state_witness(state_dir)
    # Before the journal: a sidecar that runs writes there first.
    kept = _kept_anchors(settings, anchors_file, anchor_key)
    if kept is None and not Path(witness.place).exists():
        _folder(where, outer)
    verdict = verify(state_dir / FOLDER, [witness], kept.heads if kept else ())
    problems = [*(kept.problems if kept else ()), *verdict.problems, *_newer_in_database(settings, state_dir)]
    if _chosen(where, outer, "output") == "json":
        counted = {} if kept is None else {"anchors": len(kept.heads)}
        print_json({"good": not problems, "records": verdict.records, **counted, "problems": problems})
    elif problems:
        print_lines(problems)
    else:
        span = f", numbers {verdict.first} to {verdict.last}" if verdict.records else ""
        checked = f", as {len(kept.heads)} anchors prove" if kept is not None else ""
        print_lines([f"{verdict.records} records{span}: unchanged, none missing{checked}"])
    return 1 if problems else 0


def _kept_anchors(settings: config.Settings, file: Path | None, public: Path | None) -> KeptAnchors | None:
    """Return the anchors that were kept in a file and in the shared database, None if they are not asked for.

    Raises ConfigError, DatabaseUnavailable.
    """
    url = database_url(settings)
    if public is None:
        if file is None:
            return None
        raise ConfigError("--anchors: expected --anchor-key beside it, the public key of the sidecar")
    if file is None and not url:
        raise ConfigError("--anchor-key: expected --anchors or --audit-db beside it, where anchors were kept")
    key = verifying_key(public)
    kept = list(anchors_in_file(file)) if file is not None else []
    if url:
        with closing(open_database(url, sidecar="")) as shared:
            try:
                kept += [("shared database", text) for text in shared.anchors(key.fingerprint)]
            except TaskFailed as error:
                raise DatabaseUnavailable(str(error)) from None
    return verified_anchors(kept, key)


def _newer_in_database(settings: config.Settings, state_dir: Path) -> Iterator[str]:
    """Yield a problem if the shared database has a newer record of this sidecar than its journal."""
    url, name = database_url(settings), saved_name(state_dir)
    if not url or name is None:
        return
    # Asked first: a sidecar that runs writes to its journal before it writes to the database.
    with closing(open_database(url, sidecar=name)) as shared:
        try:
            stored_ns = shared.newest_seen_ns(name)
        except TaskFailed as error:
            raise DatabaseUnavailable(str(error)) from None
    if stored_ns is None:
        return
    # All records, not the newest alone: the clock may have been set back since.
    if not any(record.at_ns >= stored_ns for record in newest_first(state_dir / FOLDER)):
        moment = show_time(stored_ns)
        yield f"records are missing at the end: the shared database has one of {moment} by this sidecar"


def _settings(*given: dict[str, Any]) -> config.Settings:
    """Return the configuration, by the options of a command or of its group. Raises ConfigError."""
    flags = {}
    for option, key in (("state-dir", "state_dir"), ("config", "config_file"), ("audit-db", "audit_db")):
        named = next((where[key] for where in given if where[key] is not None), None)
        if named is not None:
            flags[option] = [str(named)]
    return config.settings_of(config.resolve(flags, os.environ))


def _records(*given: dict[str, Any]) -> Iterator[Record]:
    """Return the records of this sidecar or of the fleet, newest first. Raises ConfigError, DatabaseUnavailable."""
    if not any(where["fleet"] for where in given):
        return newest_first(_folder(*given))
    url = database_url(_settings(*given))
    if not url:
        raise ConfigError("which database? Name it with --audit-db, DC_SIDECAR_AUDIT_DB, or in the --config file")
    return _of_fleet(open_database(url, sidecar=""))


def _of_fleet(shared: AuditDatabase) -> Iterator[Record]:
    with closing(shared):
        try:
            for record, _ in shared.newest_first(_MOST):
                yield record
        except TaskFailed as error:
            raise DatabaseUnavailable(str(error)) from None


def _state_dir(settings: config.Settings) -> Path:
    if settings.state_dir is None:
        raise ConfigError("where is the audit? Name it with --state-dir, DC_SIDECAR_STATE_DIR, or in the --config file")
    return settings.state_dir


def _folder(*given: dict[str, Any]) -> Path:
    """Return the folder of the journal. Raises ConfigError."""
    state_dir = _state_dir(_settings(*given))
    folder = state_dir / FOLDER
    if not folder.is_dir():
        raise ConfigError(f"there is no audit in {state_dir}: is it the --state-dir of a sidecar that has run?")
    return folder


def _chosen(where: dict[str, Any], outer: dict[str, Any], name: str) -> str:
    return "json" if "json" in (where[name], outer[name]) else "text"


def _of(records: Iterable[Record], revision: str) -> Record:
    """Return the newest record of a document by its revision, which may be shortened. Raises NotRecorded."""
    found: dict[str, Record] = {}
    for record in records:
        if record.text and record.changed.startswith(revision):
            found.setdefault(record.changed, record)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise NotRecorded(f"{revision} is ambiguous ({', '.join(found)}): give more digits")
    raise NotRecorded(f"no document of revision {revision} is recorded: list them with `dc-sidecar history`")


def _lines(record: Record) -> Iterator[str]:
    """Yield a record in lines of 80 columns: when, which document, who and why; then its events."""
    moment = show_time(record.at_ns)
    document = f"{record.before or 'nothing'} → {record.changed}" if record.changed else record.revision
    who = str(record.meta.get("by") or record.origin.get("user") or "")
    why = ": ".join(part for part in (who, str(record.meta.get("reason") or "")) if part)
    yield from _hanging(styled(moment, Style.BOLD), f"{document}  {why}".strip())
    for event in record.events:
        yield from _hanging(_coloured(event), event_text(event, _NAMED))


def _hanging(head: str, text: str) -> Iterator[str]:
    """Yield a text in lines that stand to the right of a head, which may be styled."""
    margin = " " * _MARGIN
    pad = " " * (_MARGIN - width(head))
    for line in textwrap.wrap(text, _WIDTH - _MARGIN, break_on_hyphens=False) or [""]:
        yield (head + pad + line).rstrip()
        head, pad = "", margin


def _coloured(event: AuditEvent) -> str:
    return styled(f"  {event.kind.value}", Style.YELLOW if event.kind in _BAD else Style.GREEN)
