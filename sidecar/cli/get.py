"""`dc-sidecar get`: the document as the config center has it."""

from __future__ import annotations

import sys
from typing import Any

import click

from sidecar.cli.changing import SourceCommand, open_named
from sidecar.cli.output import output_option, print_json
from sidecar.editing.proposal import read_current
from sidecar.errors import ChangeRefused
from sidecar.sources.base import Missing

_EPILOG = """\b
Examples:
  dc-sidecar get --source zookeeper://zk:2181/routing > routing.yaml
  dc-sidecar get --config sidecar.yaml -o json"""


@click.command("get", cls=SourceCommand, epilog=_EPILOG)
@output_option
@click.pass_context
def command(ctx: click.Context, /, output: str, timeout: float, **_: Any) -> None:  # noqa: ANN401 - flags of the source
    """Print the document, byte for byte, valid or not.

    Exits with 3 where there is none.
    """
    opening = open_named(ctx)
    content = opening.source.read(timeout)
    if isinstance(content, Missing):
        raise ChangeRefused(f"there is no document: {content.reason}; `dc-sidecar init` writes a first one")
    if output == "text":
        sys.stdout.buffer.write(content.text)
        return
    opened = read_current(content.text, max_bytes=opening.max_bytes)
    print_json(
        {
            "source": opening.source.url,
            "version": content.version,
            "revision": opened.revision,
            "problems": [str(problem) for problem in opened.refusal.problems] if opened.refusal else [],
            "text": content.text.decode(errors="replace"),
        }
    )
