"""`--utc`, which every command that shows times has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any, TypeVar

import click

from sidecar.routing.zone import use_zone

F = TypeVar("F", bound=Callable[..., Any])


def _choose(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001 - as click calls it
    if value:
        use_zone(UTC)


UTC_ATTRIBUTES: dict[str, Any] = {
    "is_flag": True,
    "is_eager": True,
    "expose_value": False,
    "callback": _choose,
    "help": "Show times in UTC.  [default: this machine's zone, or TZ]",
}


def utc_option(command: F) -> F:
    """Give a command `--utc`."""
    return click.option("--utc", **UTC_ATTRIBUTES)(command)
