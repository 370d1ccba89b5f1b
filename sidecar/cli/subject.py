"""Whose route a command changes: that of one application, or the default one."""

from __future__ import annotations

import click

DEFAULT = click.option("--default", is_flag=True, help="The default route, instead of an application's.")


def subject_of(ctx: click.Context, words: tuple[str, ...], *, default: bool) -> tuple[str | None, tuple[str, ...]]:
    """Return the application that the first word names, None for the default route, and the words that are left."""
    if default:
        return None, words
    if not words or "=" in words[0]:
        raise click.UsageError("which application? Name it first, or say --default", ctx)
    return words[0], words[1:]
