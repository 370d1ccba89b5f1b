"""`dc-sidecar serve`, for help and completion; sidecar/__main__.py runs it without click."""

from __future__ import annotations

from importlib import import_module

import click

from sidecar.cli.options.flags import SectionedCommand, serve_flags

_EPILOG = """\b
Each flag is also a variable and a key of the --config file:
  --max-candidates 500   DC_SIDECAR_MAX_CANDIDATES=500   max-candidates: 500
Flags override variables, variables the file, the file the defaults.
`dc-sidecar config show` prints each value and where it comes from.

\b
Examples:
  dc-sidecar serve --source file:/etc/dc-sidecar/routing.yaml
  dc-sidecar serve --source nacos://nacos:8848/DEFAULT_GROUP/dc-routing \\
    --nacos-username sidecar --nacos-password-file /run/secrets/nacos \\
    --listen unix:/run/dc-sidecar/sidecar.sock"""


@click.command("serve", cls=SectionedCommand, params=serve_flags(), epilog=_EPILOG)
def command(**_: object) -> None:
    """Follow a routing document and answer schedulers over gRPC."""
    ctx = click.get_current_context()
    ctx.exit(import_module("sidecar.daemon").main(ctx.obj[1:]))
