"""`dc-sidecar health`, for help and completion: what runs it is sidecar/healthcheck.py, without click and gRPC."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from sidecar.cli.inputs import TIMEOUT

_PEM = click.Path(dir_okay=False, path_type=Path)

_EPILOG = """\b
Exit codes: 0 SERVING, 1 NOT_SERVING, 2 wrong usage, 6 nobody answers.

\b
Examples:
  dc-sidecar health --sidecar unix:/run/dc-sidecar/sidecar.sock
  dc-sidecar health --live"""


@click.command("health", epilog=_EPILOG)
@click.option(
    "--sidecar",
    metavar="ADDR",
    help="The sidecar: host:port or unix:/path. Else DC_SIDECAR_ADDRESS, the first of DC_SIDECAR_LISTEN, or "
    "127.0.0.1:50051.",
)
@click.option("--live", is_flag=True, help="Ask whether it is alive, not whether it is ready.")
@click.option("--tls", is_flag=True, help="Connect with TLS, also without --ca.")
@click.option("--ca", type=_PEM, help="Who signs its certificate (PEM). Or DC_SIDECAR_CA.")
@click.option("--cert", type=_PEM, help="Our certificate (PEM). Or DC_SIDECAR_CERT.")
@click.option("--key", type=_PEM, help="The key of --cert (PEM). Or DC_SIDECAR_KEY.")
@click.option("--server-name", metavar="NAME", help="The name in its certificate, if not the host's.")
@click.option("--timeout", type=TIMEOUT, default="2s", show_default=True, help="How long to wait for an answer.")
def command(**_: object) -> None:
    """Ask a running sidecar whether it is ready for calls: for probes.

    It needs no more than 15 MiB and a twentieth of a second, so that it fits
    beside the sidecar in its container.
    """
    ctx = click.get_current_context()
    ctx.exit(import_module("sidecar.healthcheck").main(ctx.obj[1:]))
