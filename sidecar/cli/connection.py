"""How commands reach a running sidecar: its address, TLS, and how long to wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from sidecar.cli.inputs import TIMEOUT
from sidecar.client import RoutingClient, Tls

_PEM = click.Path(dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option(
        "--sidecar",
        "target",
        metavar="ADDR",
        envvar="DC_SIDECAR_ADDRESS",
        default="127.0.0.1:50051",
        show_default=True,
        show_envvar=True,
        help="The sidecar: host:port or unix:/path.",
    ),
    click.option("--tls", is_flag=True, help="Connect with TLS, also without --ca."),
    click.option("--ca", type=_PEM, envvar="DC_SIDECAR_CA", show_envvar=True, help="Who signs its certificate (PEM)."),
    click.option("--cert", type=_PEM, envvar="DC_SIDECAR_CERT", show_envvar=True, help="Our certificate (PEM)."),
    click.option("--key", type=_PEM, envvar="DC_SIDECAR_KEY", show_envvar=True, help="The key of --cert (PEM)."),
    click.option("--server-name", default="", metavar="NAME", help="The name in its certificate, if not the host's."),
    click.option("--timeout", type=TIMEOUT, default="2s", show_default=True, help="How long to wait for an answer."),
)


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a connection, and the client that they make, closed at its end, as `client`."""

    @wraps(command)
    def run(
        *,
        target: str,
        tls: bool,
        ca: Path | None,
        cert: Path | None,
        key: Path | None,
        server_name: str,
        timeout: float,
        **rest: object,
    ) -> None:
        secure = Tls(ca=ca, cert=cert, key=key, server_name=server_name) if tls or ca or cert or key else None
        with RoutingClient(target, tls=secure, timeout=timeout, cache_size=0) as client:
            command(client=client, **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
