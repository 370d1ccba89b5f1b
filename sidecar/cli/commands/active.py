"""`dc-sidecar active`, for help and completion; sidecar/gate.py runs it without click and gRPC."""

from __future__ import annotations

from importlib import import_module

import click

from sidecar.cli.options.flags import flag, timeout_flag

_EPILOG = """\b
Exit codes: 0 active (or the command's own), 75 not active, 2 wrong usage,
6 no answer, 126 and 127 for a command that cannot be run.

\b
Examples:
  dc-sidecar active billing --datacenter dc1 -- /opt/billing/nightly
  dc-sidecar active billing --datacenter dc1 --when-away skip --else 0
  dc-sidecar active billing --datacenter dc2 --wait -- /opt/billing/consumer"""

_FLAGS: list[click.Parameter] = [
    click.Argument(["app"]),
    click.Argument(["words"], nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED),
    flag(
        ["--datacenter"],
        "The datacenter that this runs in.",
        metavar="DC",
        envvar="DC_SIDECAR_DATACENTER",
        show_envvar=True,
    ),
    flag(["--key"], "Ask for this key of a split, such as a job or a user, instead of any.", metavar="KEY"),
    flag(["--wait"], "Wait until it is active, through restarts of the sidecar too.", is_flag=True),
    flag(["--else"], "Exit code where it is not active.", metavar="EXIT", default="75", show_default=True),
    flag(
        ["--when-away"],
        "Without an answer, do as if it were active (run) or not (skip).  [default: exit with 6]",
        type=click.Choice(["run", "skip"]),
    ),
    flag(
        ["--http"],
        "The sidecar's --http: HOST:PORT or https://HOST:PORT.  [default: DC_SIDECAR_HTTP, else 127.0.0.1:8080]",
        metavar="ADDR",
    ),
    flag(
        ["--http-token-file"],
        "File with the token of the sidecar's --http-token-file.",
        metavar="PATH",
        envvar="DC_SIDECAR_HTTP_TOKEN_FILE",
        show_envvar=True,
    ),
    flag(["--ca"], "CA that signed the certificate (PEM); implies TLS.", envvar="DC_SIDECAR_CA", show_envvar=True),
    timeout_flag("2s", "How long to wait for an answer."),
]


@click.command("active", params=_FLAGS, epilog=_EPILOG)
def command(**_: object) -> None:
    """Run a command if APP is active in this datacenter.

    For cron, systemd timers and scripts: it asks the sidecar once, over HTTP.
    Where the application is active, it becomes the command; else it exits with
    75 and runs nothing. Without a command it prints the answer.
    """
    ctx = click.get_current_context()
    ctx.exit(import_module("sidecar.gate").main(ctx.obj[1:]))
