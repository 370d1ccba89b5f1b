"""`dc-sidecar ramp`: move the jobs of an application to another datacenter in steps, by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.options.flags import default_option, new_option, subject_of
from sidecar.cli.options.values import DURATION, START, start_ns
from sidecar.errors import ChangeRefused
from sidecar.routing.model import Active
from sidecar.routing.scalars import format_time
from sidecar.yaml_reader import Tree

if TYPE_CHECKING:
    from sidecar.editing.draft import CurrentDocument

_EPILOG = """\b
Examples:
  dc-sidecar ramp billing --to dc2 --over 2h --steps 8 --config sidecar.yaml
  dc-sidecar ramp billing --pause --config sidecar.yaml
  dc-sidecar ramp billing --abort --config sidecar.yaml --reason "errors"

\b
A paused ramp is a split with the weights it had reached; `meta.paused` keeps
the ramp. --resume turns it into a ramp again, from those weights; its next
step comes after the duration of a whole step."""

_ENDS = ("pause", "resume", "abort", "finish")


@click.command("ramp", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[APP]", shell_complete=complete.apps)
@default_option
@click.option("--to", metavar="DC", help="Target datacenter.", shell_complete=complete.datacenters)
@click.option(
    "--from",
    "source",
    metavar="DC",
    help="Datacenter to leave.  [default: the active one]",
    shell_complete=complete.datacenters,
)
@click.option("--over", type=DURATION, metavar="DURATION", help="Duration of the whole ramp, such as 2h or 1h30m.")
@click.option("--steps", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Number of steps.")
@click.option("--start", type=START, help="Start: a time, or a duration from now.  [default: now]")
@click.option("--pause", is_flag=True, help="Stop the ramp where it is.")
@click.option("--resume", is_flag=True, help="Continue a paused ramp from where it is.")
@click.option("--abort", is_flag=True, help="End the ramp, with all jobs back where it started.")
@click.option("--finish", is_flag=True, help="End the ramp, with all jobs in its target.")
@new_option
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], *, default: bool, **given: Any) -> int:  # noqa: ANN401 - flags
    """Move the jobs of APP to another datacenter, step by step.

    The document holds the schedule; every sidecar follows it by the clock.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    app, rest = subject_of(ctx, words, default=default)
    if rest:
        raise click.UsageError(f"found {rest[0]!r}, expected one application", ctx)
    ends = [name for name in _ENDS if given[name]]
    starts = [name for name in ("to", "over", "source", "start") if given[name] is not None]
    if len(ends) + bool(starts) != 1:
        raise click.UsageError("expected --to DC --over DURATION, or one of --pause, --resume, --abort, --finish", ctx)
    if starts and not (given["to"] and given["over"]):
        raise click.UsageError("a new ramp needs --to DC and --over DURATION", ctx)

    def make(current: CurrentDocument, now_ns: int) -> Tree:
        tree, document = current.valid()
        match ends:
            case ["pause"]:
                return operations.pause_ramp(tree, document, app, now_ns)
            case ["resume"]:
                return operations.resume_ramp(tree, document, app, now_ns)
            case [end]:
                return operations.end_ramp(tree, document, app, finish=end == "finish")
        selector = operations.route_of(document, app).selector
        source = given["source"] or (selector.datacenter if isinstance(selector, Active) else None)
        subject = operations.subject_name(app)
        if source is None:
            raise ChangeRefused(f"{subject} is not active in one datacenter: name the one to leave with --from")
        if source == given["to"]:
            return tree
        return operations.start_ramp(
            tree,
            app,
            source=source,
            target=given["to"],
            start=format_time(start_ns(given["start"], now_ns)),
            duration=given["over"],
            steps=given["steps"],
        )

    moves_work = bool(starts) or ends in (["resume"], ["finish"])
    edit = Edit(make=make, moves_work=moves_work, apps=() if app is None else (app,))
    return run_change(change_options(ctx), edit)
