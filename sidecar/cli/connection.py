"""How commands reach a running sidecar: its address, TLS, and how long to wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from sidecar.cli.inputs import TIMEOUT
from sidecar.client import RoutingClient, Tls

DEFAULT_ADDRESS = "127.0.0.1:50051"

_PEM = click.Path(dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option("--tls", is_flag=True, help="Connect with TLS, also without --ca."),
    click.option("--ca", type=_PEM, envvar="DC_SIDECAR_CA", show_envvar=True, help="Who signs its certificate (PEM)."),
    click.option("--cert", type=_PEM, envvar="DC_SIDECAR_CERT", show_envvar=True, help="Our certificate (PEM)."),
    click.option("--key", type=_PEM, envvar="DC_SIDECAR_KEY", show_envvar=True, help="The key of --cert (PEM)."),
    click.option("--server-name", default="", metavar="NAME", help="The name in its certificate, if not the host's."),
    click.option("--timeout", type=TIMEOUT, default="2s", show_default=True, help="How long to wait for an answer."),
)

Connect = Callable[[str, str], RoutingClient]
"""Opens a connection to an address; the second text is the name that the sidecar's certificate has, "" for the host."""


def connecting(
    *, tls: bool, ca: Path | None, cert: Path | None, key: Path | None, server_name: str, timeout: float
) -> Connect:
    """Return how to connect to sidecars, with TLS where any of its options is given."""

    def connect(address: str, host: str) -> RoutingClient:
        secure = None
        if tls or ca or cert or key:
            secure = Tls(ca=ca, cert=cert, key=key, server_name=server_name or host)
        return RoutingClient(address, tls=secure, timeout=timeout, cache_size=0)

    return connect


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a connection, and the client that they make, closed at its end, as `client`."""

    @wraps(command)
    def run(*, target: str, connect: Connect, **rest: object) -> object:
        with connect(target, "") as client:
            return command(client=client, **rest)

    return _address(_with_connect(run), help="The sidecar: host:port or unix:/path.")


def with_sidecars(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the addresses of sidecars, as they were named, as `sidecars`, and `connect` to connect to one."""

    @wraps(command)
    def run(*, target: tuple[str, ...], **rest: object) -> object:
        return command(sidecars=target, **rest)

    help_ = "A sidecar: host:port (each address of the host is one), unix:/path, or @FILE with one a line; repeatable."
    return _address(_with_connect(run), help=help_, multiple=True)


def _address(command: Callable[..., Any], *, help: str, multiple: bool = False) -> Callable[..., Any]:  # noqa: A002 - click's word
    return click.option(
        "--sidecar",
        "target",
        metavar="ADDR",
        envvar="DC_SIDECAR_ADDRESS",
        default=[DEFAULT_ADDRESS] if multiple else DEFAULT_ADDRESS,
        show_default=True,
        show_envvar=True,
        multiple=multiple,
        help=help,
    )(command)


def _with_connect(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(
        *,
        tls: bool,
        ca: Path | None,
        cert: Path | None,
        key: Path | None,
        server_name: str,
        timeout: float,
        **rest: object,
    ) -> object:
        connect = connecting(tls=tls, ca=ca, cert=cert, key=key, server_name=server_name, timeout=timeout)
        return command(connect=connect, **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
