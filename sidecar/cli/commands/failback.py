"""`dc-sidecar failback`: send work back to the datacenters that it left by failover."""

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
  dc-sidecar status          # lists what has failed over, and why
  dc-sidecar failback billing --config sidecar.yaml --reason "DC1 repaired"
  dc-sidecar failback --default --config sidecar.yaml"""


@click.command("failback", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("apps", nargs=-1, metavar="[APP]...", shell_complete=complete.apps)
@click.option("--default", is_flag=True, help="Every application that inherits `failover` from the default route.")
@new_option
@click.pass_context
def command(ctx: click.Context, /, apps: tuple[str, ...], *, default: bool, **_: object) -> int:
    """Send the work of each APP back to where it failed over from.

    For routes with a `failover` key; under `back: manual` nothing else sends
    it back. If the datacenter is still down, the work fails over again.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    if not (apps or default):
        raise click.UsageError("which application? Name it, or pass --default", ctx)

    def make(current: CurrentDocument, now_ns: int) -> Tree:
        tree, document = current.valid()
        return operations.fail_back(tree, document, [*apps, *([None] if default else [])], now_ns)

    return run_change(change_options(ctx), Edit(make=make, apps=apps))
