"""`dc-sidecar mark`: a datacenter out of service, or in service again."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing import verbs
from sidecar.editing.proposal import Edit

_EPILOG = """\b
Examples:
  dc-sidecar mark dc1 down --source file:routing.yaml --reason "cooling fails"
  dc-sidecar mark dc1 up --config sidecar.yaml"""


@click.command("mark", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("datacenter", metavar="DC")
@click.argument("word", metavar="down|up", type=click.Choice(["down", "up"]))
@click.pass_context
def command(ctx: click.Context, /, datacenter: str, word: str, **_: object) -> int:
    """Take DC out of service, or put it in service again.

    Work of a datacenter that is down goes to the next one of each route. A
    document without a `datacenters` block gets one, of all names in it.
    """
    edit = Edit(make=lambda opened, _: verbs.mark(*opened.valid(), datacenter, available=word == "up"), moves_work=True)
    return carry_out(orders_of(ctx), edit)
