"""`dc-sidecar switch`: send all jobs of applications to one datacenter."""

from __future__ import annotations

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.options.flags import new_option

_EPILOG = """\b
Examples:
  dc-sidecar switch billing dc2 --source file:routing.yaml --reason "DC1 hot"
  dc-sidecar switch billing reports dc2 --config sidecar.yaml --dry-run
  dc-sidecar switch --all dc2 --config sidecar.yaml --yes --wait 30"""


@click.command("switch", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("apps", nargs=-1, metavar="[APP]...", shell_complete=complete.apps_and_datacenters)
@click.argument("to", metavar="DC", shell_complete=complete.datacenters)
@click.option("--default", is_flag=True, help="Switch the default route, alone or with the named applications.")
@click.option("--all", "everything", is_flag=True, help="Switch the default route and every application's.")
@new_option
@click.pass_context
def command(
    ctx: click.Context, /, apps: tuple[str, ...], to: str, *, default: bool, everything: bool, **_: object
) -> int:
    """Send all jobs of each APP to DC.

    Replaces a split or a ramp. Jobs that have a route of their own keep it.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    if not (apps or default or everything):
        raise click.UsageError("which application? Name it before the datacenter, or pass --default or --all", ctx)
    edit = Edit(
        make=lambda current, _: operations.switch(current.valid()[0], to, apps, default=default, everything=everything),
        moves_work=True,
        apps=apps,
    )
    return run_change(change_options(ctx), edit)
