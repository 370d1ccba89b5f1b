"""`dc-sidecar pin`: one job to a datacenter of its own."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing import verbs
from sidecar.editing.proposal import CurrentDocument, Edit
from sidecar.yaml_reader import Tree

_EPILOG = """\b
Examples:
  dc-sidecar pin billing 1001 dc3 --source file:routing.yaml
  dc-sidecar pin billing 1001 --remove --config sidecar.yaml"""


@click.command("pin", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("app")
@click.argument("job")
@click.argument("to", metavar="[DC]", required=False)
@click.option("--remove", is_flag=True, help="Let the job go with its application again.")
@click.pass_context
def command(ctx: click.Context, /, app: str, job: str, to: str | None, *, remove: bool, **_: object) -> int:
    """Send one JOB of APP to DC, wherever the application goes."""
    if remove == (to is not None):
        raise click.UsageError("expected a datacenter, or --remove", ctx)

    def make(opened: CurrentDocument, _: int) -> Tree:
        tree = opened.valid()[0]
        return verbs.unpin(tree, app, job) if to is None else verbs.pin(tree, app, job, to)

    return carry_out(orders_of(ctx), Edit(make=make, moves_work=not remove))
