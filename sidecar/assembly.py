"""Builds the parts of a sidecar from its settings, connects them, and starts and stops them in order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sidecar.audit.authorship import Authorship
from sidecar.audit.journal_reader import FOLDER, summaries
from sidecar.audit.service import AuditService, open_configured
from sidecar.change_log import log_change, log_signers
from sidecar.components import Component, WatchedServer, WatchedSource
from sidecar.config import Settings
from sidecar.errors import ConfigError, DocumentRejected, SnapshotUnusable, SourceError
from sidecar.footprint import NACOS_CLIENT, document_budget
from sidecar.gil import Yielder, without_gc
from sidecar.health import failover_store
from sidecar.health.checks import HealthChecks
from sidecar.health.failover_store import FailoverStore
from sidecar.health.hosts import AllowedHosts
from sidecar.memory import process_share
from sidecar.routing.document import parse_document
from sidecar.server.reading import choose_reading
from sidecar.server.settings import ServerSettings
from sidecar.snapshot import SnapshotStore, load
from sidecar.sources import open_source
from sidecar.sources.base import ResumableSource, Unreachable
from sidecar.state_file import make_state_folder, other_writers
from sidecar.table import RoutingTable
from sidecar.trust.admission import Admission, Admissions
from sidecar.view import LoadedDocument

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase
    from sidecar.following import FollowerOutputs
    from sidecar.reactions.runner import Reactions
    from sidecar.server.server import Server
    from sidecar.server.traces import Tracing
    from sidecar.status_key import StatusKey
    from sidecar.trust.opening import SignedDocuments
    from sidecar.web.recent_changes import RecentChanges
    from sidecar.web.server import WebServer
    from sidecar.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

T = TypeVar("T")

# The part of the grace period reserved for the other parts once the calls have ended, and the least that each gets.
_CLOSING_S = 2.0
_MIN_STOP_S = 0.05
# How long the start may wait for the override's file.
_OVERRIDE_READ_S = 2.0


class Sidecar:
    """A sidecar; parts that are not configured are None, and their modules are not imported. Raises ConfigError.

    What feeds what (`_connect` has the subscriptions, constructor arguments the rest):

        source, override ──▶ table ──▶ server or supervisor, web: answers
                             ▲   │
                     health ─┘   ├──▶ change log, snapshot, failovers, health
                                 └──▶ audit ──▶ reactions (their reports go back to the audit), recent changes ──▶ web
    """

    def __init__(self, settings: Settings) -> None:
        settings = replace(settings, state_dir=_checked_state_dir(settings))
        self._settings = settings
        # Before gRPC is imported, as the client of Nacos does.
        choose_reading(settings.call_reading, settings.listen)
        self._source = open_source(settings.source or "", settings.source_options)
        self.url = self._source.url
        self._memory = process_share(settings.max_memory, settings.workers)
        budget = document_budget(self._memory, beside=NACOS_CLIENT if self.url.startswith("nacos") else 0)
        self._parse = partial(parse_document, max_bytes=settings.max_document_size, budget=budget)
        self._supervisor = self._open_supervisor()
        self._signed = self._open_signatures()
        self._table = self._open_table()
        self._signers = self._signed.reloader(self._table.judge_again, self._table.in_force) if self._signed else None
        self._health = HealthChecks(self._table, AllowedHosts(settings.probe_hosts))
        self._snapshot = SnapshotStore(settings.state_dir, self.url) if settings.state_dir else None
        self._failovers = FailoverStore(settings.state_dir, self.url) if settings.state_dir else None
        self._status_key = self._open_status_key()
        database = open_configured(settings) if settings.audit_db or settings.audit_db_file else None
        self._audit = self._open_audit(database)
        self._reactions = self._open_reactions(self._audit, database)
        self._recent = self._open_recent_changes()
        self._connect()
        self._restore()
        self._watch = WatchedSource(self._source, self._table.deliver)
        self._override = self._open_override()
        self._traces: Tracing | None = None
        self._followers = self._open_followers()
        self._server = self._supervisor or self._open_server()
        self._web = self._open_web()

    def _connect(self) -> None:
        """Subscribe the parts to each other, before any of them runs; they are called in this order.

        The worker processes come first, because they are to decide by the new view as soon as this process does.
        Server and web subscribe themselves to the table that they are given, and so come last.
        """
        if self._supervisor is not None:
            self._supervisor.connect(self._table)
        for listener in (log_change, self._health.changed):
            self._table.subscribe(listener)
        for part in (self._audit, self._snapshot, self._failovers, self._status_key):
            if part is not None:
                self._table.subscribe(part.changed)
        if self._signed is not None:
            self._table.subscribe(partial(log_signers, self._signed.admission.signers_of))
        if self._audit is not None and self._reactions is not None:
            self._audit.subscribe(self._reactions.dispatch)
        if self._audit is not None and self._recent is not None:
            self._audit.subscribe(self._recent.take)

    def start(self) -> list[str]:
        """Start all but the source; return the addresses that are served. Raises ConfigError.

        Consumers come before the table that feeds them, and the table before what answers from it: the first call is
        decided by the snapshot and the override, where there are any.
        """
        kept = (self._snapshot, self._failovers, self._status_key)
        for part in (self._reactions, self._audit, *kept, self._override, self._table, self._signers):
            if part is not None:
                part.start()
        pages = [self._web.start()] if self._web is not None else []
        return [*self._server.start(), *pages, *(self._followers.start() if self._followers is not None else ())]

    def watch(self) -> None:
        """Start watching the source."""
        self._watch.start()

    def stop(self, grace: float) -> None:
        """Stop within `grace` seconds; a part that cannot be stopped is logged, and the others are still stopped.

        The web server reports not ready first. Calls get most of the time. Then what feeds the table stops, the table,
        and what it feeds: so each part gets the last change of the one before.
        """
        deadline = time.monotonic() + grace
        if self._web is not None:
            self._web.go_down()
        _stop(self._server, max(0.0, grace - _CLOSING_S) or grace)
        for part in self._after_server():
            _stop(part, max(_MIN_STOP_S, (deadline - time.monotonic()) / 2))

    def _after_server(self) -> Iterator[Component]:
        """Yield all parts but the server, in the order in which they stop."""
        feeding = (self._followers, self._watch, self._health, self._override, self._signers)
        fed = (self._web, self._snapshot, self._audit, self._reactions, self._failovers, self._status_key, self._traces)
        yield from (part for part in (*feeding, self._table, *fed) if part is not None)

    def _open_table(self) -> RoutingTable:
        settings = self._settings
        parse = without_gc(partial(self._parse, checkpoint=Yielder()))
        if self._supervisor is not None:
            parse = self._supervisor.preloading(parse)
        signed = self._signed
        judges: list[Admission] = [signed.admission] if signed else []
        if settings.max_change:
            from sidecar.trust.change_limits import ChangeLimits  # noqa: PLC0415 - only where it is configured

            signers_of = signed.admission.signers_of if signed else lambda _: ()
            judges.append(
                ChangeLimits(settings.max_change, exempt=settings.max_change_signatures, signers_of=signers_of)
            )
        return RoutingTable(
            parse=parse,
            max_stale=settings.max_stale,
            admission=Admissions(judges) if judges else None,
            parse_override=signed.parse_override(parse) if signed else None,
        )

    def _open_signatures(self) -> SignedDocuments | None:
        settings = self._settings
        if settings.allowed_signers is None:
            return None
        try:
            from sidecar.trust.opening import SignatureSettings, SignedDocuments  # noqa: PLC0415 - 5 MiB, only where it is configured
        except ImportError as error:
            raise ConfigError(
                f"--allowed-signers needs {error.name}, which is not installed: pip install 'dc-sidecar[trust]'"
            ) from error
        return SignedDocuments(
            SignatureSettings(
                allowed_signers=settings.allowed_signers,
                require_signatures=settings.require_signatures,
                signers_for=settings.signers_for,
                fewer_signatures=settings.fewer_signatures,
                override_signatures=settings.override_signatures,
                environment=settings.environment or "",
            )
        )

    def _open_supervisor(self) -> Supervisor | None:
        settings = self._settings
        if settings.workers == 1:
            return None
        from sidecar.workers.supervisor import Supervisor  # noqa: PLC0415 - only where it is configured

        return Supervisor(
            replace(_subset(ServerSettings, settings), max_memory=self._memory),
            workers=settings.workers,
            source=self.url,
            max_document_size=settings.max_document_size,
            log_format=settings.log_format,
        )

    def _open_server(self) -> Server:
        from sidecar.server.server import Server  # noqa: PLC0415 - 20 MiB; with a supervisor only its processes need it
        from sidecar.server.traces import open_tracing  # noqa: PLC0415 - likewise

        self._traces = open_tracing(os.environ)
        settings = _subset(ServerSettings, self._settings)
        duplex = self._followers.methods if self._followers is not None else None
        server = Server(self._table, settings=settings, source=self.url, traces=self._traces, duplex=duplex)
        if self._followers is not None:
            self._followers.connect(server.wake_duplex)
        return server

    def _open_followers(self) -> FollowerOutputs | None:
        if not (self._settings.xds or self._settings.xds_endpoints or self._settings.haproxy_agent):
            return None
        from sidecar.following import FollowerOutputs  # noqa: PLC0415 - only where it is configured

        return FollowerOutputs(self._table, self._settings)

    def _open_status_key(self) -> StatusKey | None:
        if not self._settings.status_key:
            return None
        from sidecar.status_key import StatusKey, status_url  # noqa: PLC0415 - only where it is configured

        return StatusKey(open_source(status_url(self.url), self._settings.source_options))

    def _open_audit(self, database: AuditDatabase | None) -> AuditService | None:
        """Return the audit, where its records are kept, reacted to, or shown."""
        settings = self._settings
        if settings.state_dir is None and not settings.reactions and settings.http is None:
            return None
        return AuditService(
            self.url,
            state_dir=settings.state_dir,
            max_bytes=settings.audit_size,
            database=database,
            author_of=Authorship(self._source.history).of,
            anchor_key=settings.anchor_key,
        )

    def _open_reactions(self, audit: AuditService | None, database: AuditDatabase | None) -> Reactions | None:
        settings = self._settings
        if not settings.reactions or audit is None:
            return None
        from sidecar.reactions.runner import Reactions  # noqa: PLC0415 - only where it is configured

        return Reactions(
            settings.reactions,
            source=self.url,
            state_dir=settings.state_dir,
            claims=database,
            anchor_of=audit.anchor_of,
            state=lambda: self._table.view.state,
            report=audit.report,
        )

    def _open_recent_changes(self) -> RecentChanges | None:
        if self._settings.http is None:
            return None
        from sidecar.web.recent_changes import RecentChanges  # noqa: PLC0415 - only where it is configured

        return RecentChanges(self._history())

    def _open_web(self) -> WebServer | None:
        settings = self._settings
        if settings.http is None or self._recent is None:
            return None
        from sidecar.web.page_data import PageData  # noqa: PLC0415 - only where it is configured
        from sidecar.web.server import WebServer  # noqa: PLC0415
        from sidecar.web.settings import WebSettings  # noqa: PLC0415

        savers = (self._snapshot, self._failovers, self._status_key)
        page_data = PageData(
            probes=self._health.outcomes,
            savers=[part.status for part in savers if part is not None],
            tasks=[task for part in (self._audit, self._reactions) if part is not None for task in part.tasks],
            held_s=self._server.held_s if isinstance(self._server, WatchedServer) else float,
            memory_high=self._server.memory_high if isinstance(self._server, WatchedServer) else bool,
            history=self._history(),
            audit_breaks=lambda: self._audit.breaks if self._audit is not None else 0,
            recent=self._recent,
            live_workers=self._server.live_workers,
            followers=self._followers.all if self._followers is not None else None,
            xds_clients=self._followers.xds_clients if self._followers is not None else None,
        )
        web = _subset(WebSettings, settings)
        return WebServer(self._table, self._server.stats, settings=web, source=self.url, page_data=page_data)

    def _open_override(self) -> WatchedSource | None:
        """Return the source of `--override`, read once: its document decides from the start."""
        if self._settings.override is None:
            return None
        override = open_source(f"file:{self._settings.override}", {})
        deliver = partial(self._table.override, override.url)
        try:
            deliver(override.read(_OVERRIDE_READ_S))
        except SourceError as error:
            deliver(Unreachable(str(error)))
        return WatchedSource(override, deliver)

    def _restore(self) -> None:
        """Put the snapshot in force, if it is usable, and continue the failovers that were on at the last stop."""
        folder = self._settings.state_dir
        if folder is None:
            return
        try:
            snapshot = load(folder, self.url, max_document_size=self._settings.max_document_size)
            if snapshot is not None:
                if self._signed is not None:
                    self._signed.check_snapshot(snapshot.text, snapshot.applied_at_ns)
                document = self._parse(snapshot.text)
                self._table.restore(LoadedDocument(snapshot.text, document), snapshot.applied_at_ns)
                self._resume(snapshot.versions)
        except (SnapshotUnusable, DocumentRejected) as error:
            log.warning("the snapshot is not used: %s", error)
        self._table.remember(failover_store.load(folder, self.url))

    def _resume(self, versions: Sequence[str]) -> None:
        """Have an earlier version than the snapshot's confirmed before it takes the snapshot's place."""
        if self._snapshot is not None:
            self._snapshot.resume(versions)
        if isinstance(self._source, ResumableSource):
            self._source.resume(versions)

    def _history(self) -> Callable[[str | None, int, Callable[[], None]], Iterator[dict[str, Any]]] | None:
        folder = self._settings.state_dir
        return None if folder is None else partial(summaries, folder / FOLDER)


def _checked_state_dir(settings: Settings) -> Path | None:
    """Return the state directory without links in its path. Raises ConfigError if other users can write to it."""
    if settings.state_dir is None:
        return None
    path = Path(os.path.realpath(settings.state_dir))
    try:
        make_state_folder(path)
        writers = other_writers(path)
    except OSError as error:
        # The disk may be there later, so a failure to save is a warning.
        log.warning("--state-dir %s: %s", path, error.strerror)
        return path
    if writers and not settings.allow_shared_state_dir:
        raise ConfigError(
            f"--state-dir {path}: {writers}, and its files decide after a restart. Make it this user's own "
            f"(chown, chmod go-w), name a directory that does not exist, or allow it with --allow-shared-state-dir"
        )
    return path


def _subset(kind: type[T], settings: Settings) -> T:
    """Return the settings of a part: those fields of the sidecar's settings that it has too."""
    shared = {field.name for field in fields(kind)} & {field.name for field in fields(settings)}  # type: ignore[arg-type]
    return kind(**{name: getattr(settings, name) for name in shared})


def _stop(part: Component, timeout: float) -> None:
    try:
        part.stop(timeout)
    except Exception:
        log.exception("%s could not be stopped; the other parts are", type(part).__name__)
