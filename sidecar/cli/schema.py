"""`dc-sidecar schema`: what editors complete and check routing documents by."""

from __future__ import annotations

import click

from sidecar.cli.output import print_json
from sidecar.routing.schema import schema

_EPILOG = """\b
Examples:
  dc-sidecar schema > routing.schema.json

\b
With the YAML language server, a document may begin with:
  # yaml-language-server: $schema=routing.schema.json"""


@click.command("schema", epilog=_EPILOG)
def command() -> None:
    """Print the JSON Schema of the routing document, for editors.

    It finds what a schema can: `dc-sidecar check` finds the rest too.
    """
    print_json(schema())
