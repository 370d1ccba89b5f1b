"""`dc-sidecar drain`: single workers without work, while their datacenter goes on."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing import verbs
from sidecar.editing.proposal import Edit

_EPILOG = """\b
Examples:
  dc-sidecar drain "10.1.0.7:*" --config sidecar.yaml --reason "disk fails"
  dc-sidecar drain "10.1.0.7:*" --undo --config sidecar.yaml"""


@click.command("drain", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("worker")
@click.option("--undo", is_flag=True, help="Give the workers work again.")
@click.pass_context
def command(ctx: click.Context, /, worker: str, *, undo: bool, **_: object) -> int:
    """Drain WORKER: it gets no work, and counts as not there.

    WORKER is an address, a network such as 10.1.0.0/28, or a pattern with
    one * at its begin or end. What runs there ends there. --reason stands in
    the document too. --undo takes exactly this entry out of it.
    """
    orders = orders_of(ctx)
    # Not a switch: one worker after the other may be drained, without the pause between two switches.
    edit = Edit(make=lambda opened, _: verbs.drain(*opened.valid(), worker, undo=undo, reason=orders.reason))
    return carry_out(orders, edit)
