"""`dc-sidecar init`: a first document."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing.proposal import CurrentDocument, Edit
from sidecar.errors import ChangeRefused

_EPILOG = """\b
Examples:
  dc-sidecar init dc1 dc2 --source file:/etc/dc-sidecar/routing.yaml
  dc-sidecar init dc1 --bare --source zookeeper://zk:2181/dc-sidecar/routing"""

_TEXT = """\
# Where the scheduler's jobs run. Change it here or with dc-sidecar; every sidecar
# follows within seconds, and refuses what it cannot read.
version: 1
datacenters:
{datacenters}
default:
  active: {active}
{backups}# Applications with a route of their own:
# apps:
#   billing: {last}
"""


@click.command("init", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("datacenters", nargs=-1, required=True, metavar="DC...")
@click.option("--bare", is_flag=True, help="Write the one word only, without room for anything else.")
@click.pass_context
def command(ctx: click.Context, /, datacenters: tuple[str, ...], *, bare: bool, **_: object) -> int:
    """Write a first document: all jobs to the first DC, the others its backups.

    Refused where there is a document already.
    """
    active, *backups = dict.fromkeys(datacenters)
    if bare and backups:
        raise click.UsageError("--bare: a bare word names one datacenter", ctx)

    def make(opened: CurrentDocument, _: int) -> bytes:
        if opened.text is not None:
            raise ChangeRefused("there is a document already: look at it with `dc-sidecar get`, replace it with `put`")
        if bare:
            return f"{active}\n".encode()
        text = _TEXT.format(
            datacenters="\n".join(f"  {name}: {{}}" for name in (active, *backups)),
            active=active,
            backups=f"  backups: [{', '.join(backups)}]\n" if backups else "",
            last=[active, *backups][-1],
        )
        return text.encode()

    return carry_out(orders_of(ctx), Edit(make=make, stamp=not bare))
