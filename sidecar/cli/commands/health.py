"""`dc-sidecar health`, for help and completion; sidecar/healthcheck.py runs it without click and gRPC."""

from __future__ import annotations

from importlib import import_module

import click

from sidecar.cli.options.flags import flag, timeout_flag, tls_flags

_EPILOG = """\b
Exit codes: 0 SERVING, 1 NOT_SERVING, 2 wrong usage, 6 no answer.

\b
Examples:
  dc-sidecar health --sidecar unix:/run/dc-sidecar/sidecar.sock
  dc-sidecar health --live"""

_FLAGS: list[click.Parameter] = [
    flag(
        ["--sidecar"],
        "The sidecar: HOST:PORT or unix:/PATH.  [default: DC_SIDECAR_ADDRESS, else the first of DC_SIDECAR_LISTEN, "
        "else 127.0.0.1:50051]",
        metavar="ADDR",
    ),
    flag(["--live"], "Ask whether it is alive instead of ready.", is_flag=True),
    # Probes present no token: health answers everybody.
    *tls_flags(token=False),
    timeout_flag("2s", "How long to wait for an answer."),
]


@click.command("health", short_help="Probe a running sidecar.", params=_FLAGS, epilog=_EPILOG)
def command(**_: object) -> None:
    """Ask a running sidecar whether it is ready for calls, as a probe.

    Takes at most 15 MiB and 50 ms, to fit into the sidecar's container.
    """
    ctx = click.get_current_context()
    ctx.exit(import_module("sidecar.healthcheck").main(ctx.obj[1:]))
