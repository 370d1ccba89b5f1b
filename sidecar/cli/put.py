"""`dc-sidecar put`: a whole document in place of the one there is."""

from __future__ import annotations

from typing import BinaryIO

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.editing.proposal import CurrentDocument, Edit
from sidecar.errors import WriteConflict

_EPILOG = """\b
Examples:
  dc-sidecar put routing.yaml --source nacos://nacos:8848/GROUP/dc-routing
  git show HEAD:routing.yaml | dc-sidecar put - --yes --config sidecar.yaml
  dc-sidecar put routing.yaml --expect 3a7f09c21b44 --config sidecar.yaml"""


@click.command("put", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--expect", metavar="REVISION", help="Only in place of this revision; exit code 4 otherwise.")
@click.pass_context
def command(ctx: click.Context, /, file: BinaryIO, expect: str | None, **_: object) -> int:
    """Write FILE (- for standard input) as the document.

    The text goes in as it is; with --by, --reason, --ticket or --meta its
    `meta` is written too.
    """
    text = file.read()
    given = ctx.params
    told = any(given[name] for name in ("by", "reason", "ticket", "meta"))

    def make(opened: CurrentDocument, _: int) -> bytes:
        if expect is not None and opened.revision != expect:
            found = opened.revision or "nothing"
            raise WriteConflict(f"the document is at {found}, expected {expect}: look at what changed, then put again")
        return text

    return carry_out(orders_of(ctx), Edit(make=make, stamp=told))
