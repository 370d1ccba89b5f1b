"""`dc-sidecar get`: print the document as the config center has it."""

from __future__ import annotations

import sys
from typing import Any

import click

from sidecar.cli.options.flags import SourceCommand, open_key, output_option
from sidecar.cli.render import print_json, print_lines
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import parse_text
from sidecar.sources.base import Missing

_EPILOG = """\b
Examples:
  dc-sidecar get --source zookeeper://zk:2181/routing > routing.yaml
  dc-sidecar get --config sidecar.yaml -o json"""


@click.command("get", cls=SourceCommand, epilog=_EPILOG)
@output_option
@click.pass_context
def command(ctx: click.Context, /, output: str, **_: Any) -> None:  # noqa: ANN401 - flags of the source
    """Print the document, byte for byte, valid or not.

    On a terminal, control characters in it are shown escaped.

    Exits with 3 if there is none.
    """
    key = open_key(ctx)
    content = key.source.read(key.timeout)
    if isinstance(content, Missing):
        raise ChangeRefused(f"found no routing document at {key.target} ({content.reason}): check the name of the key")
    if output == "text":
        if sys.stdout.isatty():
            print_lines(content.text.decode(errors="replace").removesuffix("\n").split("\n"))
        else:
            sys.stdout.buffer.write(content.text)
        return
    parsed = parse_text(content.text, max_bytes=key.max_bytes)
    print_json(
        {
            "source": key.source.url,
            "version": content.version,
            "revision": parsed.revision,
            "problems": [str(problem) for problem in parsed.refusal.problems] if parsed.refusal else [],
            "text": content.text.decode(errors="replace"),
        }
    )
