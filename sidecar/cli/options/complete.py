"""Completion of names from the live document, the history and the contexts; a shell that asks never sees an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from sidecar.cli.completion import names
from sidecar.cli.completion.answer import READ_TIMEOUT_S
from sidecar.cli.options import contexts as known_contexts
from sidecar.cli.options.flags import Key, open_key
from sidecar.sources.base import Content
from sidecar.yaml_reader import Tree

T = TypeVar("T")

Complete = Callable[[click.Context, click.Parameter, str], list[str]]

_REVISIONS = 30


def apps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete applications of the document."""
    return _of_document("apps", ctx, incomplete)


def datacenters(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete datacenters of the document."""
    return _of_document("datacenters", ctx, incomplete)


def apps_and_datacenters(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete applications, and the datacenter that follows them."""
    return _of_document("apps_and_datacenters", ctx, incomplete)


def apps_and_weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete an application, and weights of datacenters behind it."""
    return _of_document("apps_and_weights", ctx, incomplete, ctx.params.get("words") or ())


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete the jobs of the application before that have routes of their own."""
    return _of_document("jobs", ctx, incomplete, [str(ctx.params.get("app"))])


def revisions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete revisions of earlier documents."""
    from sidecar.cli.earlier import ChangeMemory, history_of  # noqa: PLC0415 - names of the document need no history

    def found(key: Key) -> Iterable[str]:
        history = history_of(key.source, key.option("state-dir"), ChangeMemory(key.source.url))
        versions = history.versions(_REVISIONS, READ_TIMEOUT_S) if history else ()
        return dict.fromkeys(version.revision for version in versions)

    return _matching(_quietly(ctx, found) or (), incomplete)


def files_and_revisions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete revisions of earlier documents, and else files."""
    found = revisions(ctx, param, incomplete) if incomplete else []
    return [CompletionItem(one) for one in found] or [CompletionItem(incomplete, type="file")]


def contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete contexts."""
    try:
        return _matching(known_contexts.contexts(), incomplete)
    except Exception:  # noqa: BLE001 - the shell would show any error in the middle of a line
        return []


def _of_document(kind: str, ctx: click.Context, incomplete: str, arguments: Sequence[str] = ()) -> list[str]:
    return _matching(names.of_kind(kind, _document(ctx), arguments), incomplete)


def _document(ctx: click.Context) -> Tree:
    def read(key: Key) -> Tree:
        content = key.source.read(READ_TIMEOUT_S)
        return names.tree_of(content.text, key.max_bytes) if isinstance(content, Content) else ""

    return _quietly(ctx, read) or ""


def _quietly(ctx: click.Context, ask: Callable[[Key], T]) -> T | None:
    try:
        return ask(open_key(ctx))
    except Exception:  # noqa: BLE001 - the shell would show any error in the middle of a line
        return None


def _matching(found: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in found if name.startswith(incomplete)]
