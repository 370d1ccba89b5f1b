"""`dc-sidecar pin`: send one job to a datacenter of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.options.flags import new_option
from sidecar.yaml_reader import Tree

if TYPE_CHECKING:
    from sidecar.editing.draft import CurrentDocument

_EPILOG = """\b
Examples:
  dc-sidecar pin billing 1001 dc3 --source file:routing.yaml
  dc-sidecar pin billing 1001 --remove --config sidecar.yaml"""


@click.command("pin", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("app", shell_complete=complete.apps)
@click.argument("job", shell_complete=complete.jobs)
@click.argument("to", metavar="[DC]", required=False, shell_complete=complete.datacenters)
@click.option("--remove", is_flag=True, help="Remove the job's own route: it follows its application again.")
@new_option
@click.pass_context
def command(ctx: click.Context, /, app: str, job: str, to: str | None, *, remove: bool, **_: object) -> int:
    """Send one JOB of APP to DC, wherever the application goes."""
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    if remove == (to is not None):
        raise click.UsageError("expected a datacenter, or --remove", ctx)

    def make(current: CurrentDocument, _: int) -> Tree:
        tree = current.valid()[0]
        return operations.unpin(tree, app, job) if to is None else operations.pin(tree, app, job, to)

    return run_change(change_options(ctx), Edit(make=make, moves_work=not remove, scope=(app,)))
