"""`dc-sidecar config show`: print the configuration, and where each value comes from."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any

import click

from sidecar.cli.options.flags import SectionedCommand, flags_of, output_option, serve_flags
from sidecar.cli.render import columns, print_json, print_lines, say
from sidecar.config import OptionValue, resolve, settings_of

_PROTECTIONS = {
    "policy": "everybody who can connect may make every call",
    "allowed-signers": "everybody who can write the key may change the routes",
    "max-change": "one document may change everything",
    "anchor-key": "who can write the state directory can write another audit",
    "tls-cert": "connections are not encrypted",
    "state-dir": "a restart while the config center is down has no document, and nothing is audited",
}


@click.group("config")
def command() -> None:
    """Show the sidecar's own configuration."""


_EPILOG = """\b
Examples:
  dc-sidecar config show --config sidecar.yaml
  DC_SIDECAR_GRACE=30s dc-sidecar config show -o json"""


@command.command("show", cls=SectionedCommand, params=serve_flags(), epilog=_EPILOG)
@output_option
def show(output: str, **_: object) -> None:
    """Show the configuration of `serve`, and where each value comes from.

    Takes the flags of `serve`. Secrets show as (set). Exits with 78 if the
    configuration is wrong.
    """
    values = resolve(flags_of(click.get_current_context()), os.environ)
    for warning in settings_of(values).warnings:
        say(f"Warning: {warning}")
    if output == "json":
        print_json([_entry(value) for value in values])
    else:
        rows = [(value.option.name, ", ".join(value.shown) or "-", _origin(value)) for value in values]
        print_lines(columns([("OPTION", "VALUE", "FROM"), *rows]))
        for line in _off({value.option.name for value in values if value.texts}):
            say(line)


def _off(given: Collection[str]) -> Iterator[str]:
    """Yield the protections that are not configured: who may call, who may change, how much, and the record."""
    for name, meaning in _PROTECTIONS.items():
        if name not in given:
            yield f"Off: --{name}: {meaning}"


def _origin(value: OptionValue) -> str:
    return value.origin.removesuffix(f": {value.option.name}") if value.texts else ""


def _entry(value: OptionValue) -> dict[str, Any]:
    shown: Any = list(value.shown) if value.option.repeatable else next(iter(value.shown), None)
    return {"name": value.option.name, "value": shown, "layer": value.layer.value, "origin": _origin(value)}
