"""`dc-sidecar watch`: follow the routes of a running sidecar, one line for each change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from sidecar.cli.options import complete
from sidecar.cli.options.flags import SidecarCommand, output_option
from sidecar.cli.render import dim, print_json, print_lines, say, update_plain, wants_yaml
from sidecar.cli.sidecars import open_client
from sidecar.client import AppRoute, RouteUpdate, RoutingClient
from sidecar.errors import NotServing
from sidecar.routing.zone import show_time

_RETRY_S = 1.0
_SHOWN = 3

_EPILOG = """\b
Examples:
  dc-sidecar watch
  dc-sidecar watch billing reports -o json"""


@click.command("watch", cls=SidecarCommand, epilog=_EPILOG)
@click.argument("apps", nargs=-1, shell_complete=complete.apps)
@output_option
@click.pass_context
def command(ctx: click.Context, /, *, apps: tuple[str, ...], output: str, **_: Any) -> None:  # noqa: ANN401
    """Print each change of a running sidecar's routes, until Ctrl-C.

    Starts with the current routes. With APPS, prints only their changes and
    those of the default route. Reconnects when the sidecar is back.
    """
    before: RouteUpdate | None = None
    with open_client(ctx) as client:
        for update in _updates(client, apps):
            if output == "json":
                if wants_yaml():
                    print_lines(["---"])
                print_json(update_plain(update), indent=None)
            else:
                about = dim(f"({update.revision}{', stale' if update.stale else ''})")
                moment = show_time(time.time_ns())
                print_lines(f"{moment}  {line}  {about}" for line in _changes(before, update))
            before = update


def _updates(client: RoutingClient, apps: tuple[str, ...]) -> Iterator[RouteUpdate]:
    """Yield the updates of one stream after another. Raises NotServing where the first one cannot be opened."""
    begun = lost = False
    while True:
        try:
            for update in client.watch(apps):
                if lost:
                    say(f"{show_time(time.time_ns())}  reconnected")
                begun, lost = True, False
                yield update
        except NotServing as error:
            if not begun:
                raise
            if not lost:
                say(f"{show_time(time.time_ns())}  {error}; reconnecting")
            lost = True
            time.sleep(_RETRY_S)


def _changes(before: RouteUpdate | None, now: RouteUpdate) -> list[str]:
    """Return a line for each group of routes that changed alike; without `before`, for each that are alike."""
    old = _routes(before) if before else {}
    new = _routes(now)
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys((*new, *old)):
        # An application without a route of its own has the default one.
        was, words = old.get(name, old.get("default")), _words(new.get(name, new["default"]))
        if was is None:
            found.setdefault(", ".join(filter(None, words)), []).append(name)
        elif changed := [
            f"{one or '(none)'} → {other or '(none)'}"
            for one, other in zip(_words(was), words, strict=True)
            if one != other
        ]:
            found.setdefault("; ".join(changed), []).append(name)
    lines = [f"{_named(names)}: {words}" for words, names in found.items()]
    return lines or ["no route changed"]


def _routes(update: RouteUpdate) -> dict[str, AppRoute]:
    return {"default": update.default, **{route.app: route for route in update.routes}}


def _named(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _words(route: AppRoute) -> tuple[str, str, str]:
    """Return where a route goes, where it goes next, and which of its datacenters are out of service."""
    weighted = {name: weight for name, weight in route.weights if weight > 0}
    total = sum(weighted.values())
    shares = [
        name if len(weighted) == 1 else f"{name} {100 * weight / total:.3g} %" for name, weight in weighted.items()
    ]
    rest = [name for name in route.backups if name not in weighted] if weighted else []
    return (
        ", ".join(shares) or "anywhere",
        f"then {', '.join(rest)}" if rest else "",
        f"out of service: {', '.join(route.unavailable)}" if route.unavailable else "",
    )
