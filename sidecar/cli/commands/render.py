"""`dc-sidecar render`: write Kubernetes manifests whose weights are the shares of an application."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from sidecar.cli.change import current_of
from sidecar.cli.options import complete
from sidecar.cli.options.flags import SourceCommand, open_key
from sidecar.cli.options.values import TIME
from sidecar.cli.render import yaml_text
from sidecar.followers.kubernetes import Manifest, Placement, http_route, virtual_service, weights
from sidecar.routing.state import State

F = TypeVar("F", bound=Callable[..., Any])


@click.group("render")
def command() -> None:
    """Write Kubernetes manifests whose weights are an application's shares.

    For GitOps: commit the output. It changes only when the shares do.
    """


def _options(function: F) -> F:
    for option in (
        click.argument("app", shell_complete=complete.apps),
        click.option("--name", default="", metavar="NAME", help="Name of the manifest.  [default: APP]"),
        click.option("--namespace", default="", metavar="NS", help="Namespace of the manifest.  [default: none]"),
        click.option(
            "--port", type=click.IntRange(1, 65535), default=80, show_default=True, help="Port of the Services."
        ),
        click.option("--host", "hosts", multiple=True, metavar="HOST", help="A host that is routed. Repeatable."),
        click.option("--now", "now", type=TIME, help="Render as of this time.  [default: now]"),
    ):
        function = option(function)
    return function


_SERVICE = "Name of each datacenter's Service; {app} and {datacenter} are filled in."

_HTTPROUTE = """\b
Examples:
  dc-sidecar render httproute shop --gateway public \\
    --host shop.example --config sidecar.yaml
  dc-sidecar render httproute shop --gateway infra/public \\
    --service 'shop-{datacenter}' --port 8080 --source file:routing.yaml"""


@command.command("httproute", cls=SourceCommand, epilog=_HTTPROUTE)
@_options
@click.option("--service", default="{app}-{datacenter}", show_default=True, metavar="NAME", help=_SERVICE)
@click.option(
    "--gateway",
    "gateways",
    multiple=True,
    required=True,
    metavar="[NS/]NAME",
    help="A Gateway that the route attaches to. Repeatable.",
)
@click.pass_context
def httproute(
    ctx: click.Context,
    /,
    app: str,
    gateways: tuple[str, ...],
    hosts: tuple[str, ...],
    now: int | None,
    **names: Any,  # noqa: ANN401 - flags of the source too
) -> None:
    """Write APP's HTTPRoute (Gateway API v1)."""
    _print(http_route(_placement(app, names), weights(_state(ctx, now), app), gateways=gateways, hosts=hosts))


_VIRTUALSERVICE = """\b
Examples:
  dc-sidecar render virtualservice shop --config sidecar.yaml
  dc-sidecar render virtualservice shop --service shop \\
    --subset-label topology/datacenter --source file:routing.yaml"""


@command.command("virtualservice", cls=SourceCommand, epilog=_VIRTUALSERVICE)
@_options
@click.option("--service", default="{app}-{datacenter}", show_default=True, metavar="NAME", help=_SERVICE)
@click.option("--gateway", "gateways", multiple=True, metavar="[NS/]NAME", help="An Istio Gateway. Repeatable.")
@click.option(
    "--subset-label",
    default="",
    metavar="KEY",
    help="Take the datacenters as subsets of one Service, by this label of its pods; write the DestinationRule too.",
)
@click.pass_context
def virtualservice(
    ctx: click.Context,
    /,
    app: str,
    gateways: tuple[str, ...],
    hosts: tuple[str, ...],
    now: int | None,
    subset_label: str,
    **names: Any,  # noqa: ANN401 - flags of the source too
) -> None:
    """Write APP's VirtualService (Istio).

    Its hosts are those of --host, else APP.
    """
    placement = _placement(app, names)
    _print(
        virtual_service(
            placement, weights(_state(ctx, now), app), gateways=gateways, hosts=hosts, subset_label=subset_label
        )
    )


def _placement(app: str, names: dict[str, Any]) -> Placement:
    return Placement(
        app=app, name=names["name"], namespace=names["namespace"], service=names["service"], port=names["port"]
    )


def _state(ctx: click.Context, now: int | None) -> State:
    key = open_key(ctx)
    _, document = current_of(key.source.read(key.timeout), key.target, key.max_bytes).valid()
    return State(document, generation=1, now_ns=time.time_ns() if now is None else now)


def _print(manifests: Sequence[Manifest]) -> None:
    click.echo("---\n".join(map(yaml_text, manifests)), nl=False)
