"""`dc-sidecar ramp`: an application's jobs moved by the clock, step by step."""

from __future__ import annotations

from typing import Any

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.cli.moments import DURATION, START, start_ns
from sidecar.cli.subject import DEFAULT, subject_of
from sidecar.editing import verbs
from sidecar.editing.proposal import CurrentDocument, Edit
from sidecar.errors import ChangeRefused
from sidecar.routing.model import Active
from sidecar.routing.scalars import format_time
from sidecar.yaml_reader import Tree

_EPILOG = """\b
Examples:
  dc-sidecar ramp billing --to dc2 --over 2h --steps 8 --config sidecar.yaml
  dc-sidecar ramp billing --pause --config sidecar.yaml
  dc-sidecar ramp billing --abort --config sidecar.yaml --reason "errors"

\b
A paused ramp is a split of the weights it had reached, with a note under
meta.paused of how it was to go on; --resume turns it into a ramp again, whose
next step comes after the time of a whole step."""

_ENDS = ("pause", "resume", "abort", "finish")


@click.command("ramp", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[APP]")
@DEFAULT
@click.option("--to", metavar="DC", help="Where it leads.")
@click.option("--from", "source", metavar="DC", help="Where it starts.  [default: where all jobs are]")
@click.option("--over", type=DURATION, metavar="DURATION", help="How long it takes, such as 2h or 1h30m.")
@click.option("--steps", type=click.IntRange(1, 10_000), default=10, show_default=True, help="In how many steps.")
@click.option("--start", type=START, help="When it starts: a time, or a duration from now.  [default: now]")
@click.option("--pause", is_flag=True, help="Stop the ramp where it is.")
@click.option("--resume", is_flag=True, help="Let a paused ramp go on from where it is.")
@click.option("--abort", is_flag=True, help="End the ramp, all jobs back where it started.")
@click.option("--finish", is_flag=True, help="End the ramp, all jobs where it leads.")
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], *, default: bool, **given: Any) -> int:  # noqa: ANN401 - flags
    """Move the jobs of APP from one datacenter to another, step by step.

    The document says how; the sidecars follow their clocks, all at once.
    """
    app, rest = subject_of(ctx, words, default=default)
    if rest:
        raise click.UsageError(f"found {rest[0]!r}, expected one application", ctx)
    ends = [name for name in _ENDS if given[name]]
    starts = [name for name in ("to", "over", "source", "start") if given[name] is not None]
    if len(ends) + bool(starts) != 1:
        raise click.UsageError("expected --to DC --over DURATION, or one of --pause, --resume, --abort, --finish", ctx)
    if starts and not (given["to"] and given["over"]):
        raise click.UsageError("a new ramp needs --to DC and --over DURATION", ctx)

    def make(opened: CurrentDocument, now_ns: int) -> Tree:
        tree, document = opened.valid()
        match ends:
            case ["pause"]:
                return verbs.pause_ramp(tree, document, app, now_ns)
            case ["resume"]:
                return verbs.resume_ramp(tree, document, app, now_ns)
            case [end]:
                return verbs.end_ramp(tree, document, app, finish=end == "finish")
        selector = verbs.route_of(document, app).selector
        source = given["source"] or (selector.datacenter if isinstance(selector, Active) else None)
        if source is None:
            raise ChangeRefused(
                f"the jobs of {verbs.named(app)} are not all in one datacenter: say where to start with --from"
            )
        if source == given["to"]:
            raise ChangeRefused(
                f"same: all jobs of {verbs.named(app)} are in {source} already: name another datacenter"
            )
        return verbs.start_ramp(
            tree,
            app,
            source=source,
            target=given["to"],
            start=format_time(start_ns(given["start"], now_ns)),
            duration=given["over"],
            steps=given["steps"],
        )

    hasty = bool(starts) or ends in (["resume"], ["finish"])
    edit = Edit(make=make, moves_work=hasty, apps=() if app is None else (app,))
    return carry_out(orders_of(ctx), edit)
