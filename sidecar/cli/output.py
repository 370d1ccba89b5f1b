"""How commands print: data on stdout, as text or JSON; talk on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """Give a command `-o text|json`, as the parameter `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people or for programs.",
    )(command)


def print_json(data: object) -> None:
    """Print data as JSON, two blanks a level."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, in columns as wide as their widest entry; the last one may be as long as it likes."""
    widths = [max(map(len, map(click.unstyle, column))) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def say(message: str) -> None:
    """Tell the person at the terminal something that is not data."""
    click.echo(message, err=True)


def dim(text: str) -> str:
    """Return a text that steps back, where there is colour."""
    return click.style(text, dim=True)
