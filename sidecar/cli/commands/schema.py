"""`dc-sidecar schema`: print the JSON Schema of routing documents."""

from __future__ import annotations

import click

from sidecar.cli.render import print_json
from sidecar.routing.schema import schema

_EPILOG = """\b
Examples:
  dc-sidecar schema > routing.schema.json

\b
With the YAML language server, begin a document with:
  # yaml-language-server: $schema=routing.schema.json"""


@click.command("schema", epilog=_EPILOG)
def command() -> None:
    """Print the JSON Schema of the routing document, for editors.

    A schema cannot express every rule: `dc-sidecar check` finds the rest.
    """
    print_json(schema())
