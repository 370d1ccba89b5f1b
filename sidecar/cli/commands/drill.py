"""`dc-sidecar drill`: treat a datacenter as lost for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.options.flags import SourceCommand, new_option, open_key, output_option
from sidecar.cli.options.values import DURATION, START, Start, start_ns
from sidecar.cli.render import columns, print_json, print_lines, say
from sidecar.errors import ChangeRefused
from sidecar.routing.model import Drill
from sidecar.routing.scalars import format_time, parse_duration
from sidecar.routing.zone import show_time
from sidecar.yaml_reader import Tree

if TYPE_CHECKING:
    from sidecar.editing.draft import CurrentDocument


@click.group("drill")
def command() -> None:
    """Treat a datacenter as lost for a time, to practise."""


_START = """\b
Examples:
  dc-sidecar drill start dc1 --for 30m --reason "Q4" --config sidecar.yaml
  dc-sidecar drill start dc1 --for 1h --app billing --config sidecar.yaml \\
    --start 2026-11-22T14:00:00Z"""


@command.command("start", cls=ChangeCommand, epilog=_START)
@click.argument("datacenter", metavar="DC", shell_complete=complete.datacenters)
@click.option("--for", "length", type=DURATION, required=True, help="Duration; the drill ends by itself.")
@click.option("--start", type=START, help="Start: a time, or a duration from now.  [default: now]")
@click.option(
    "--app",
    "apps",
    metavar="APP",
    multiple=True,
    help="Limit the drill to this application. Repeatable.",
    shell_complete=complete.apps,
)
@new_option
@click.pass_context
def start_drill(
    ctx: click.Context,
    /,
    datacenter: str,
    length: str,
    start: Start | None,
    apps: tuple[str, ...],
    **_: Any,  # noqa: ANN401
) -> int:
    """Treat DC as lost: its work goes elsewhere, and returns at the end.

    --reason is written to the drill too.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    options = change_options(ctx)

    def make(current: CurrentDocument, now_ns: int) -> Tree:
        began = start_ns(start, now_ns)
        until = format_time(began + (parse_duration(length) or 0))
        tree = current.valid()[0]
        return operations.start_drill(
            tree, datacenter, start=format_time(began), until=until, apps=apps, reason=options.reason
        )

    return run_change(options, Edit(make=make, moves_work=True, scope=apps))


_STOP = """\b
Examples:
  dc-sidecar drill stop --config sidecar.yaml
  dc-sidecar drill stop dc1 --source file:routing.yaml
  dc-sidecar drill stop --ended --config sidecar.yaml"""


@command.command("stop", cls=ChangeCommand, epilog=_STOP)
@click.argument("datacenter", metavar="[DC]", required=False, shell_complete=complete.datacenters)
@click.option("--all", "everything", is_flag=True, help="Stop all drills, running and planned.")
@click.option("--ended", is_flag=True, help="Remove drills that have ended; moves nothing.")
@click.pass_context
def stop_drill(ctx: click.Context, /, datacenter: str | None, *, everything: bool, ended: bool, **_: Any) -> int:  # noqa: ANN401
    """Stop the drills of DC, running and planned.

    Without DC, stops the only drill.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    if sum([datacenter is not None, everything, ended]) > 1:
        raise click.UsageError("expected a datacenter, --all or --ended: only one of them", ctx)

    def make(current: CurrentDocument, now_ns: int) -> Tree:
        tree, document = current.valid()
        drills = document.drills
        live = operations.running(drills, now_ns)
        if ended:
            chosen = [index for index in range(len(drills)) if index not in live]
        elif datacenter is not None:
            chosen = [index for index in live if drills[index].datacenter == datacenter]
        elif everything or len(live) == 1:
            chosen = live
        else:
            names = ", ".join(dict.fromkeys(drills[index].datacenter for index in live))
            raise ChangeRefused(
                f"there are {len(live)} drills ({names}): name a datacenter, or pass --all" if live else _NONE
            )
        if not chosen:
            raise ChangeRefused(_NONE)
        return operations.stop_drills(tree, chosen)

    return run_change(change_options(ctx), Edit(make=make))


_NONE = "there is no such drill: list them with `dc-sidecar drill list`"

_LIST = """\b
Examples:
  dc-sidecar drill list --source file:routing.yaml
  dc-sidecar drill list --config sidecar.yaml -o json"""


@command.command("list", cls=SourceCommand, epilog=_LIST)
@output_option
@click.pass_context
def list_drills(ctx: click.Context, /, output: str, **_: Any) -> None:  # noqa: ANN401
    """List the drills in the document: running, planned and ended."""
    from sidecar.cli.change import current_of

    key = open_key(ctx)
    content = key.source.read(key.timeout)
    current = current_of(content, key.target, key.max_bytes)
    drills = current.valid()[1].drills
    now_ns = time.time_ns()
    if output == "json":
        print_json([_entry(drill, now_ns) for drill in drills])
    elif not drills:
        say("There are no drills.")
    else:
        rows = [("DATACENTER", "STATE", "FROM", "UNTIL", "FOR")]
        rows += [
            (drill.datacenter, _state(drill, now_ns), _shown(drill.start_ns), show_time(drill.until_ns), _scope(drill))
            for drill in drills
        ]
        print_lines(columns(rows))


def _entry(drill: Drill, now_ns: int) -> dict[str, Any]:
    return {
        "datacenter": drill.datacenter,
        "state": _state(drill, now_ns),
        "start": _from(drill),
        "until": format_time(drill.until_ns),
        "apps": sorted(drill.apps) if drill.apps is not None else None,
        "reason": drill.reason,
    }


def _state(drill: Drill, now_ns: int) -> str:
    if drill.active(now_ns):
        return "running"
    return "ended" if now_ns >= drill.until_ns else "planned"


def _shown(moment_ns: int | None) -> str:
    return "-" if moment_ns is None else show_time(moment_ns)


def _from(drill: Drill) -> str | None:
    return None if drill.start_ns is None else format_time(drill.start_ns)


def _scope(drill: Drill) -> str:
    scope = "all" if drill.apps is None else ", ".join(sorted(drill.apps))
    return f"{scope}: {drill.reason}" if drill.reason else scope
