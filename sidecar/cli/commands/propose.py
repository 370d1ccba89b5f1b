"""`dc-sidecar propose`: store a signed document, for another operator to approve."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import click

from sidecar.cli.change import run_change
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.editing.draft import Edit, MetaPolicy
from sidecar.routing.parsed_text import parse_text

_EPILOG = """\b
Examples:
  dc-sidecar propose routing.yaml --sign ~/.ssh/id_ed25519 --context prod
  dc-sidecar switch billing dc2 --sign ~/.ssh/id_ed25519 --propose
  dc-sidecar approve --sign ~/.ssh/id_ed25519 --context prod"""


@click.command("propose", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.pass_context
def command(ctx: click.Context, /, file: BinaryIO, **_: object) -> int:
    """Sign FILE (- for standard input) and store it beside the key.

    It is in a key with .proposed at its end, and decides nothing there. Every
    command that changes the document proposes instead with --propose.
    """
    text = file.read()
    options = change_options(ctx)
    if options.signing is None:
        raise click.UsageError("a proposal is signed: pass --sign KEY", ctx)
    made = parse_text(text, max_bytes=options.max_bytes)
    return run_change(replace(options, propose=True), Edit(make=lambda *_: made, meta=MetaPolicy.NEVER))
