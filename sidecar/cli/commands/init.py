"""`dc-sidecar init`: write a first document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import ParsedText, parse_text

if TYPE_CHECKING:
    from sidecar.editing.draft import CurrentDocument

_EPILOG = """\b
Examples:
  dc-sidecar init dc1 dc2 --source file:/etc/dc-sidecar/routing.yaml
  dc-sidecar init dc1 --bare --source zookeeper://zk:2181/dc-sidecar/routing"""

_TEXT = """\
# Where the scheduler's jobs run. Edit this text or use dc-sidecar; every sidecar
# follows within seconds, and refuses a text that is not valid.
version: 1
datacenters:
{datacenters}
default:
  active: {active}
{backups}# Applications with a route of their own:
# apps:
#   billing: {last}
"""


@click.command("init", short_help="Write a first document.", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("datacenters", nargs=-1, required=True, metavar="DC...")
@click.option("--bare", is_flag=True, help="Write the datacenter's name only; there is no room for `meta`.")
@click.pass_context
def command(ctx: click.Context, /, datacenters: tuple[str, ...], *, bare: bool, **_: object) -> int:
    """Write a first document: all jobs to the first DC, the others its backups.

    Refused if there is a document already.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing.draft import Edit, MetaPolicy

    active, *backups = dict.fromkeys(datacenters)
    if bare and backups:
        raise click.UsageError("--bare: expected one datacenter, as a bare word names only one", ctx)
    text = f"{active}\n"
    if not bare:
        text = _TEXT.format(
            datacenters="\n".join(f"  {name}: {{}}" for name in (active, *backups)),
            active=active,
            backups=f"  backups: [{', '.join(backups)}]\n" if backups else "",
            last=[active, *backups][-1],
        )

    def make(current: CurrentDocument, _: int) -> ParsedText:
        if current.parsed is not None:
            raise ChangeRefused("there is a document already: print it with `dc-sidecar get`, replace it with `put`")
        return parse_text(text.encode())

    edit = Edit(make=make, meta=MetaPolicy.NEVER if bare else MetaPolicy.ALWAYS)
    return run_change(change_options(ctx), edit)
