"""`dc-sidecar failback`: work back to the datacenters that it had left after faults."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing import verbs
from sidecar.editing.proposal import CurrentDocument, Edit
from sidecar.yaml_reader import Tree

_EPILOG = """\b
Examples:
  dc-sidecar status                 # tells who has failed over, and why
  dc-sidecar failback billing --config sidecar.yaml --reason "DC1 is well"
  dc-sidecar failback --default --config sidecar.yaml"""


@click.command("failback", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("apps", nargs=-1, metavar="[APP]...")
@click.option("--default", is_flag=True, help="All applications that have their failover key from the default route.")
@click.pass_context
def command(ctx: click.Context, /, apps: tuple[str, ...], *, default: bool, **_: object) -> int:
    """Send work back to where each APP had failed over from.

    For routes with `failover`; under `back: manual` nothing else brings it
    back. A datacenter that is still at fault is left again.
    """
    if not (apps or default):
        raise click.UsageError("which application? Name it, or say --default", ctx)

    def make(opened: CurrentDocument, now_ns: int) -> Tree:
        tree, document = opened.valid()
        return verbs.fail_back(tree, document, [*apps, *([None] if default else [])], now_ns)

    return carry_out(orders_of(ctx), Edit(make=make, apps=apps))
