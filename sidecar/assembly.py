"""The parts of a sidecar, made from its settings, started in order and ended in order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from sidecar.audit.authorship import Authorship
from sidecar.audit.journal_reader import FOLDER, summaries
from sidecar.audit.service import AuditService, open_configured
from sidecar.change_log import log_change
from sidecar.config import Settings
from sidecar.errors import DocumentRejected, SourceError
from sidecar.gil import Yielder, without_gc
from sidecar.health import failover_store
from sidecar.health.checks import HealthChecks
from sidecar.health.failover_store import FailoverStore
from sidecar.health.hosts import AllowedHosts
from sidecar.routing.document import parse_document
from sidecar.server.settings import ServerSettings
from sidecar.snapshot import SnapshotStore, SnapshotUnusable, load
from sidecar.sources import open_source
from sidecar.sources.base import Report, Source, Unreachable
from sidecar.table import RoutingTable

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase
    from sidecar.reactions.runner import Reactions
    from sidecar.server.server import Server
    from sidecar.server.traces import Tracing
    from sidecar.web.recent_changes import RecentChanges
    from sidecar.web.server import WebServer
    from sidecar.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

# The rest of the grace period that is kept for all other parts, once the calls have ended, and what each has at least.
_CLOSING_S = 2.0
_LEAST_S = 0.05
# How long the start may wait for the override's file.
_OVERRIDE_READ_S = 2.0


class Component(Protocol):
    """What ends within so many seconds."""

    def stop(self, timeout: float, /) -> None:
        """End."""


@dataclass(frozen=True, slots=True)
class WatchedSource:
    """A source, and who takes its reports."""

    source: Source
    deliver: Callable[[Report], None]

    def start(self) -> None:
        """Begin to watch."""
        self.source.start(self.deliver)

    def stop(self, timeout: float) -> None:
        """End the watching."""
        self.source.stop(timeout)


class Sidecar:
    """All of a sidecar, put together; what is not configured is None and takes no memory. Raises ConfigError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source = open_source(settings.source or "", settings.source_options)
        self.url = self._source.url
        parse = without_gc(partial(parse_document, max_bytes=settings.max_document_size, checkpoint=Yielder()))
        self._supervisor = self._with_supervisor()
        parse = self._supervisor.together(parse) if self._supervisor else parse
        self._table = RoutingTable(parse=parse, max_stale=settings.max_stale)
        if self._supervisor is not None:
            self._supervisor.follow(self._table)
        self._table.subscribe(log_change)
        self._health = HealthChecks(self._table, AllowedHosts(settings.probe_hosts))
        self._table.subscribe(self._health.changed)
        shared = open_configured(settings) if settings.audit_db or settings.audit_db_file else None
        self._reactions = self._with_reactions(shared)
        self._recent = self._with_recent_changes()
        self._audit = self._with_audit(shared)
        self._snapshot = self._with_snapshot()
        self._failovers = self._with_failovers()
        self._override = self._with_override()
        self._traces: Tracing | None = None
        self._server = self._supervisor or self._with_server()
        for part in (self._audit, self._reactions):
            self._server.stats.tasks += part.tasks if part else ()
        self._web = self._with_web()
        self._watch = WatchedSource(self._source, self._table.deliver)

    def start(self) -> list[str]:
        """Start all but the source; return the addresses that it serves on. Raises ConfigError.

        What is there already, snapshot and override, decides the first call.
        """
        for part in (self._reactions, self._audit, self._snapshot, self._failovers, self._override, self._table):
            if part is not None:
                part.start()
        pages = [self._web.start()] if self._web is not None else []
        return [*self._server.start(), *pages]

    def watch(self) -> None:
        """Start the source."""
        self._watch.start()

    def stop(self, grace: float) -> None:
        """End within `grace` seconds: calls, then what brings news, then the table, then those that it told.

        What cannot be stopped is logged, and keeps nothing else from it.
        """
        deadline = time.monotonic() + grace
        if self._web is not None:
            self._web.go_down()
        _end(self._server, max(0.0, grace - _CLOSING_S) or grace)
        for part in self._beside_calls():
            _end(part, max(_LEAST_S, (deadline - time.monotonic()) / 2))

    def _beside_calls(self) -> Iterator[Component]:
        """Yield all but the server, in the order in which they end."""
        news = (self._watch, self._health, self._override)
        told = (self._web, self._snapshot, self._audit, self._reactions, self._failovers, self._traces)
        yield from (part for part in (*news, self._table, *told) if part is not None)

    def _with_supervisor(self) -> Supervisor | None:
        """Return the processes that answer calls, where there are to be several."""
        settings = self._settings
        if settings.workers == 1:
            return None
        from sidecar.workers.supervisor import Supervisor  # noqa: PLC0415 - only where it is asked for

        return Supervisor(
            _server_settings(settings),
            workers=settings.workers,
            source=self.url,
            max_document_size=settings.max_document_size,
            log_format=settings.log_format,
        )

    def _with_server(self) -> Server:
        """Return what answers calls in this process."""
        from sidecar.server.server import Server  # noqa: PLC0415 - 20 MiB, not where worker processes have them
        from sidecar.server.traces import open_tracing  # noqa: PLC0415

        self._traces = open_tracing(os.environ)
        return Server(self._table, settings=_server_settings(self._settings), source=self.url, traces=self._traces)

    def _with_snapshot(self) -> SnapshotStore | None:
        """Put the snapshot of the source in force, if there is a good one, and keep it up to date from now on."""
        folder = self._settings.state_dir
        if folder is None:
            return None
        try:
            kept = load(folder, self.url)
            if kept is not None:
                document = parse_document(kept.text, max_bytes=self._settings.max_document_size)
                self._table.restore(kept.text, document, kept.applied_at_ns)
        except (SnapshotUnusable, DocumentRejected) as error:
            log.warning("the snapshot is not used: %s", error)
        keeper = SnapshotStore(folder, self.url)
        self._table.subscribe(keeper.changed)
        return keeper

    def _with_failovers(self) -> FailoverStore | None:
        """Go on with the failovers that were on when the sidecar ended, and remember those to come."""
        folder = self._settings.state_dir
        if folder is None:
            return None
        self._table.remember(failover_store.load(folder, self.url))
        keeper = FailoverStore(folder, self.url)
        self._table.subscribe(keeper.changed)
        return keeper

    def _with_reactions(self, shared: AuditDatabase | None) -> Reactions | None:
        """Return what is to be done about changes, where that is configured."""
        if not self._settings.reactions:
            return None
        from sidecar.reactions.runner import Reactions  # noqa: PLC0415 - only where it is asked for

        state_dir = self._settings.state_dir
        return Reactions(
            self._settings.reactions,
            source=self.url,
            state_dir=state_dir,
            claims=shared,
            state=lambda: self._table.view.state,
        )

    def _with_recent_changes(self) -> RecentChanges | None:
        """Return what the page tells of changes, where there is a page."""
        if self._settings.http is None:
            return None
        from sidecar.web.recent_changes import RecentChanges  # noqa: PLC0415 - only where it is asked for

        return RecentChanges(self._history())

    def _history(self) -> Callable[[str | None, int, Callable[[], None]], Iterator[dict[str, Any]]] | None:
        folder = self._settings.state_dir
        return None if folder is None else partial(summaries, folder / FOLDER)

    def _with_audit(self, shared: AuditDatabase | None) -> AuditService | None:
        """Keep a record of changes from now on, and tell them to the reactions and the page."""
        takers = tuple(part.take for part in (self._reactions, self._recent) if part is not None)
        if self._settings.state_dir is None and not takers:
            return None
        audit = AuditService(
            self.url,
            state_dir=self._settings.state_dir,
            max_bytes=self._settings.audit_size,
            takers=takers,
            shared=shared,
            origin=Authorship(self._source.history).of,
        )
        if self._reactions is not None:
            self._reactions.report_to(audit.report)
        self._table.subscribe(audit.changed)
        return audit

    def _with_override(self) -> WatchedSource | None:
        """Let the document of `--override` go before the source's, from now on, whenever there is one."""
        if self._settings.override is None:
            return None
        override = open_source(f"file:{self._settings.override}", {})
        take = partial(self._table.override, override.url)
        try:
            take(override.read(_OVERRIDE_READ_S))
        except SourceError as error:
            take(Unreachable(str(error)))
        return WatchedSource(override, take)

    def _with_web(self) -> WebServer | None:
        """Return what serves HTTP, where that is asked for."""
        settings = self._settings
        if settings.http is None or self._recent is None:
            return None
        from sidecar.web.page_data import PageData  # noqa: PLC0415 - only where it is asked for
        from sidecar.web.server import WebServer  # noqa: PLC0415
        from sidecar.web.settings import WebSettings  # noqa: PLC0415

        web = WebSettings(
            http=settings.http,
            http_token_file=settings.http_token_file,
            tls_cert=settings.tls_cert,
            tls_key=settings.tls_key,
            allow_plaintext=settings.allow_plaintext,
        )
        savers = [each.status for each in (self._snapshot, self._failovers) if each is not None]
        page_data = PageData(probes=self._health.outcomes, savers=savers, history=self._history(), recent=self._recent)
        return WebServer(self._table, self._server.stats, settings=web, source=self.url, page_data=page_data)


def _server_settings(settings: Settings) -> ServerSettings:
    shared = {field.name for field in fields(ServerSettings)} & {field.name for field in fields(settings)}
    return ServerSettings(**{name: getattr(settings, name) for name in shared})


def _end(part: Component, timeout: float) -> None:
    try:
        part.stop(timeout)
    except Exception:
        log.exception("%s could not be stopped; the rest is", type(part).__name__)
