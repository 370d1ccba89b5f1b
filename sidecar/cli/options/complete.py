"""Completion of names from the live document, the history and the contexts; a shell that asks never sees an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from sidecar.cli.earlier import ChangeMemory, history_of
from sidecar.cli.options import contexts as known_contexts
from sidecar.cli.options.flags import Key, open_key
from sidecar.routing.document import parse_document
from sidecar.routing.model import RoutingDocument
from sidecar.sources.base import Content

T = TypeVar("T")

Complete = Callable[[click.Context, click.Parameter, str], list[str]]

# Whoever presses a key does not wait longer for a config center.
_TIMEOUT_S = 1.0
_REVISIONS = 30


def apps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete applications of the document."""
    document = _document(ctx)
    return _matching(document.apps if document else (), incomplete)


def datacenters(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete datacenters of the document."""
    document = _document(ctx)
    return _matching(document.datacenter_names() if document else (), incomplete)


def apps_and_datacenters(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete applications, and the datacenter that follows them."""
    document = _document(ctx)
    return _matching((*document.apps, *document.datacenter_names()) if document else (), incomplete)


def apps_and_weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete an application, and weights of datacenters behind it."""
    document = _document(ctx)
    if document is None:
        return []
    weights = [f"{name}=" for name in document.datacenter_names()]
    return _matching(weights if ctx.params.get("words") else (*document.apps, *weights), incomplete)


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete the jobs of the application before that have routes of their own."""
    document = _document(ctx)
    application = document.apps.get(str(ctx.params.get("app"))) if document else None
    return _matching(application.jobs if application else (), incomplete)


def revisions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - as click calls it
    """Complete revisions of earlier documents."""

    def found(key: Key) -> Iterable[str]:
        history = history_of(key.source, key.option("state-dir"), ChangeMemory(key.source.url))
        versions = history.versions(_REVISIONS, _TIMEOUT_S) if history else ()
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


def _document(ctx: click.Context) -> RoutingDocument | None:
    def read(key: Key) -> RoutingDocument | None:
        content = key.source.read(_TIMEOUT_S)
        return parse_document(content.text, max_bytes=key.max_bytes) if isinstance(content, Content) else None

    return _quietly(ctx, read)


def _quietly(ctx: click.Context, ask: Callable[[Key], T]) -> T | None:
    try:
        return ask(open_key(ctx))
    except Exception:  # noqa: BLE001 - the shell would show any error in the middle of a line
        return None


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
