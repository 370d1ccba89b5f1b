"""`dc-sidecar drill`: a datacenter taken for lost, for a time."""

from __future__ import annotations

import time
from typing import Any

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, SourceCommand, open_named, orders_of
from sidecar.cli.moments import DURATION, START, Start, start_ns
from sidecar.cli.output import columns, output_option, print_json, say
from sidecar.editing import verbs
from sidecar.editing.proposal import CurrentDocument, Edit, read_current
from sidecar.errors import ChangeRefused
from sidecar.routing.model import Drill
from sidecar.routing.scalars import format_time, parse_duration
from sidecar.sources.base import Content
from sidecar.yaml_reader import Tree


@click.group("drill")
def command() -> None:
    """Pretend that a datacenter is gone, for a time."""


_START = """\b
Examples:
  dc-sidecar drill start dc1 --for 30m --reason "Q4" --config sidecar.yaml
  dc-sidecar drill start dc1 --for 1h --app billing --config sidecar.yaml \\
    --start 2026-11-22T14:00:00Z"""


@command.command("start", cls=ChangingCommand, epilog=_START)
@click.argument("datacenter", metavar="DC")
@click.option("--for", "length", type=DURATION, required=True, help="How long; it ends by itself.")
@click.option("--start", type=START, help="When: a time, or a duration from now.  [default: now]")
@click.option("--app", "apps", metavar="APP", multiple=True, help="For this application only; repeatable.")
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
    """Take DC for lost: its work goes elsewhere, and returns at the end.

    --reason stands in the drill itself too.
    """
    orders = orders_of(ctx)

    def make(opened: CurrentDocument, now_ns: int) -> Tree:
        began = start_ns(start, now_ns)
        until = format_time(began + (parse_duration(length) or 0))
        tree = opened.valid()[0]
        return verbs.start_drill(
            tree, datacenter, start=format_time(began), until=until, apps=apps, reason=orders.reason
        )

    return carry_out(orders, Edit(make=make, moves_work=True))


_STOP = """\b
Examples:
  dc-sidecar drill stop --config sidecar.yaml
  dc-sidecar drill stop dc1 --source file:routing.yaml
  dc-sidecar drill stop --ended --config sidecar.yaml"""


@command.command("stop", cls=ChangingCommand, epilog=_STOP)
@click.argument("datacenter", metavar="[DC]", required=False)
@click.option("--all", "everything", is_flag=True, help="All drills, running and planned.")
@click.option("--ended", is_flag=True, help="Take out those that ended by themselves; moves nothing.")
@click.pass_context
def stop_drill(ctx: click.Context, /, datacenter: str | None, *, everything: bool, ended: bool, **_: Any) -> int:  # noqa: ANN401
    """End the drills of DC, or the only one there is, running or planned."""
    if sum([datacenter is not None, everything, ended]) > 1:
        raise click.UsageError("expected a datacenter, --all or --ended, one of them", ctx)

    def make(opened: CurrentDocument, now_ns: int) -> Tree:
        tree, document = opened.valid()
        drills = document.drills
        live = verbs.running(drills, now_ns)
        if ended:
            chosen = [index for index in range(len(drills)) if index not in live]
        elif datacenter is not None:
            chosen = [index for index in live if drills[index].datacenter == datacenter]
        elif everything or len(live) == 1:
            chosen = live
        else:
            names = ", ".join(dict.fromkeys(drills[index].datacenter for index in live))
            raise ChangeRefused(
                f"there are {len(live)} drills ({names}): name a datacenter, or say --all" if live else _NONE
            )
        if not chosen:
            raise ChangeRefused(_NONE)
        return verbs.stop_drills(tree, chosen)

    return carry_out(orders_of(ctx), Edit(make=make))


_NONE = "there is no such drill: `dc-sidecar drill list` shows those there are"

_LIST = """\b
Examples:
  dc-sidecar drill list --source file:routing.yaml
  dc-sidecar drill list --config sidecar.yaml -o json"""


@command.command("list", cls=SourceCommand, epilog=_LIST)
@output_option
@click.pass_context
def list_drills(ctx: click.Context, /, output: str, timeout: float, **_: Any) -> None:  # noqa: ANN401
    """List the drills of the document: running, planned, ended."""
    opening = open_named(ctx)
    content = opening.source.read(timeout)
    text = content.text if isinstance(content, Content) else None
    drills = read_current(text, max_bytes=opening.max_bytes).valid()[1].drills
    now_ns = time.time_ns()
    if output == "json":
        print_json([_entry(drill, now_ns) for drill in drills])
    elif not drills:
        say("There are no drills.")
    else:
        rows = [("DATACENTER", "STATE", "FROM", "UNTIL", "FOR")]
        rows += [
            (drill.datacenter, _state(drill, now_ns), _from(drill) or "-", format_time(drill.until_ns), _whom(drill))
            for drill in drills
        ]
        click.echo("\n".join(columns(rows)))


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


def _from(drill: Drill) -> str | None:
    return None if drill.start_ns is None else format_time(drill.start_ns)


def _whom(drill: Drill) -> str:
    whom = "all" if drill.apps is None else ", ".join(sorted(drill.apps))
    return f"{whom}: {drill.reason}" if drill.reason else whom
