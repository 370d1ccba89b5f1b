"""`dc-sidecar switch`: all jobs of an application to one datacenter."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing import verbs
from sidecar.editing.proposal import Edit

_EPILOG = """\b
Examples:
  dc-sidecar switch billing dc2 --source file:routing.yaml --reason "DC1 hot"
  dc-sidecar switch billing reports dc2 --config sidecar.yaml --dry-run
  dc-sidecar switch --all dc2 --config sidecar.yaml --yes --wait 30"""


@click.command("switch", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("apps", nargs=-1, metavar="[APP]...")
@click.argument("to", metavar="DC")
@click.option("--default", is_flag=True, help="Switch the default route, too or instead.")
@click.option("--all", "everything", is_flag=True, help="Switch the default and every application's route.")
@click.pass_context
def command(
    ctx: click.Context, /, apps: tuple[str, ...], to: str, *, default: bool, everything: bool, **_: object
) -> int:
    """Send all jobs of each APP to DC.

    A split or a ramp gives way. Jobs that have a route of their own keep it.
    """
    if not (apps or default or everything):
        raise click.UsageError("which application? Name it before the datacenter, or say --default or --all", ctx)
    edit = Edit(
        make=lambda opened, _: verbs.switch(opened.valid()[0], to, apps, default=default, everything=everything),
        moves_work=True,
        apps=apps,
    )
    return carry_out(orders_of(ctx), edit)
