"""`dc-sidecar mark`: take a datacenter out of service, or put it back."""

from __future__ import annotations

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, change_options

_EPILOG = """\b
Examples:
  dc-sidecar mark dc1 down --source file:routing.yaml --reason "cooling fails"
  dc-sidecar mark dc1 up --config sidecar.yaml"""


@click.command("mark", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("datacenter", metavar="DC", shell_complete=complete.datacenters)
@click.argument("word", metavar="down|up", type=click.Choice(["down", "up"]))
@click.pass_context
def command(ctx: click.Context, /, datacenter: str, word: str, **_: object) -> int:
    """Take DC out of service, or put it back into service.

    While DC is down its work goes to the next datacenter of each route. A
    document without a `datacenters` block gets one, with every name in use.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    available = word == "up"
    edit = Edit(
        make=lambda current, _: operations.mark(*current.valid(), datacenter, available=available),
        moves_work=True,
        way_back=available,
    )
    return run_change(change_options(ctx), edit)
