"""`dc-sidecar put`: replace the document with a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import click

from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.errors import WriteConflict
from sidecar.routing.parsed_text import ParsedText, parse_text
from sidecar.trust.envelope import unsigned

if TYPE_CHECKING:
    from sidecar.editing.draft import CurrentDocument

_EPILOG = """\b
Examples:
  dc-sidecar put routing.yaml --source nacos://nacos:8848/GROUP/dc-routing
  git show HEAD:routing.yaml | dc-sidecar put - --yes --config sidecar.yaml
  dc-sidecar put routing.yaml --expect 3a7f09c21b44 --config sidecar.yaml"""


@click.command("put", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--expect", metavar="REVISION", help="Replace only this revision; exit with 4 if it is another.")
@click.pass_context
def command(ctx: click.Context, /, file: BinaryIO, expect: str | None, **_: object) -> int:
    """Replace the document with FILE (- for standard input).

    The text is written unchanged, unless --by, --reason, --ticket or --meta is
    given, which go into its `meta`.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing.draft import Edit, MetaPolicy

    text = file.read()
    options = change_options(ctx)

    def make(current: CurrentDocument, _: int) -> ParsedText:
        if expect is not None and current.revision != expect:
            found = f"revision {current.revision}" if current.parsed else "no document"
            raise WriteConflict(
                f"found {found}, expected {expect}: see what changed with `dc-sidecar get`, then put again"
            )
        # New values in `meta` change the signed text.
        return parse_text(unsigned(text) if said else text, max_bytes=options.max_bytes)

    said = any(ctx.params[name] for name in ("by", "reason", "ticket", "meta"))
    return run_change(options, Edit(make=make, meta=MetaPolicy.ALWAYS if said else MetaPolicy.NEVER))
