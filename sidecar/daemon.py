"""The sidecar as a process: source, table, server and snapshot put together, started, and ended by a signal."""

from __future__ import annotations

import gc
import logging
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from sidecar import __version__, config
from sidecar.audit.keeping import Audit, open_shared
from sidecar.audit.origin import Origins
from sidecar.audit.reading import FOLDER, outlines
from sidecar.errors import DocumentRefused, SidecarError, SourceError
from sidecar.health import memory
from sidecar.health.checks import HealthChecks
from sidecar.health.hosts import AllowedHosts
from sidecar.health.memory import FailoverKeeper
from sidecar.log import configure, set_level
from sidecar.narration import narrate
from sidecar.pacing import Pacer, uncollected
from sidecar.routing.document import parse_document
from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.server.traces import traces
from sidecar.snapshot import SnapshotKeeper, SnapshotUnusable, load
from sidecar.sources import open_source
from sidecar.sources.base import Source, Unreachable
from sidecar.table import RoutingTable

if TYPE_CHECKING:
    from sidecar.audit.shared import SharedAudit
    from sidecar.durable import Saved
    from sidecar.reactions.runner import Reactions
    from sidecar.web.server import WebServer

log = logging.getLogger(__name__)

# The rest of the grace period that is kept for the source and the snapshot, once the calls have ended.
_CLOSING_S = 2.0
# How long the start may wait for the override's file.
_OVERRIDE_READ_S = 2.0


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; `argv` are the flags after `serve`. Returns the exit code."""
    try:
        settings = config.load(argv, os.environ)
    except SidecarError as error:
        sys.stderr.write(f"dc-sidecar serve: {error}\n")
        return error.exit_code
    configure(settings.log_format, settings.log_level)
    signal.signal(signal.SIGHUP, partial(_take_log_level, argv))
    for warning in settings.warnings:
        log.warning(warning)
    try:
        _serve(settings)
    except SidecarError as error:
        log.error("cannot start: %s", error)  # noqa: TRY400 - an operator's mistake needs no traceback
        return error.exit_code
    return 0


def _serve(settings: config.Settings) -> None:
    wait_for_signal = _on_signals()
    source = open_source(settings.source or "", settings.source_options)
    parse = partial(parse_document, max_bytes=settings.max_document_size, breathe=Pacer())
    table = RoutingTable(parse=uncollected(parse), max_stale=settings.max_stale)
    table.subscribe(narrate)
    health = HealthChecks(table, AllowedHosts(settings.probe_hosts))
    table.subscribe(health.changed)
    fleet = open_shared(settings) if settings.audit_db or settings.audit_db_file else None
    reactions = _with_reactions(source, settings, fleet)
    audit = _with_audit(table, source, settings, reactions, fleet)
    keeper = _with_snapshot(table, source, settings)
    failovers = _with_failovers(table, source, settings)
    override = _with_override(table, settings)
    shared = {field.name for field in fields(ServerSettings)} & {field.name for field in fields(settings)}
    server_settings = ServerSettings(**{name: getattr(settings, name) for name in shared})
    tracing = traces(os.environ)
    server = Server(table, settings=server_settings, source=source.url, traces=tracing)
    server.tally.tasks += [*(audit.tasks if audit else ()), *(reactions.tasks if reactions else ())]
    savers = [each.standing for each in (keeper, failovers) if each is not None]
    web = _with_web(table, server, settings, source, health, savers)
    # What is there already, snapshot and override, decides the first call.
    table.start()
    pages = [web.start()] if web is not None else []
    addresses = [*server.start(), *pages]
    try:
        _greet(source, addresses, settings)
        source.start(table.deliver)
        # What was made so far stays; looking through it again and again for garbage would only hold up calls.
        gc.collect()
        gc.freeze()
        wait_for_signal()
    finally:
        log.info("stopping: calls under way have %g s to finish", settings.grace)
        deadline = time.monotonic() + settings.grace
        if web is not None:
            web.go_down()
        server.stop(max(0.0, settings.grace - _CLOSING_S) or settings.grace)
        left = max(0.1, deadline - time.monotonic())
        source.stop(left / 2)
        health.stop()
        if override is not None:
            override.stop(left / 2)
        table.stop()
        if web is not None:
            web.stop(left / 2)
        if keeper is not None:
            keeper.stop(left / 2)
        if audit is not None:
            audit.stop(left / 2)
        if reactions is not None:
            reactions.stop(left / 2)
        if failovers is not None:
            failovers.stop(left / 2)
        if tracing is not None:
            tracing.stop(left / 2)
        log.info("stopped")


def _take_log_level(argv: Sequence[str], _number: int, _frame: FrameType | None) -> None:
    """Read the configuration anew, and take the log level from it, nothing else."""
    try:
        level = config.load(argv, os.environ).log_level
    except SidecarError as error:
        log.warning("SIGHUP: the configuration cannot be read, the log level stays: %s", error)
        return
    set_level(level)
    log.warning("SIGHUP: the log level is %s", level)


def _on_signals() -> Callable[[], None]:
    """Return what waits for SIGTERM or SIGINT; a second signal ends the process at once."""
    # Its `put` may interrupt its `get`; an Event would lock itself out if the signal came while it is about to wait.
    signals: SimpleQueue[int] = SimpleQueue()
    stopping = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        signals.put(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    def wait() -> None:
        signals.get()

    return wait


def _with_snapshot(table: RoutingTable, source: Source, settings: config.Settings) -> SnapshotKeeper | None:
    """Put the snapshot of the source in force, if there is a good one, and keep it up to date from now on."""
    if settings.state_dir is None:
        return None
    try:
        kept = load(settings.state_dir, source.url)
        if kept is not None:
            document = parse_document(kept.text, max_bytes=settings.max_document_size)
            table.restore(kept.text, document, kept.applied_at_ns)
    except (SnapshotUnusable, DocumentRefused) as error:
        log.warning("the snapshot is not used: %s", error)
    keeper = SnapshotKeeper(settings.state_dir, source.url)
    table.subscribe(keeper.changed)
    keeper.start()
    return keeper


def _with_failovers(table: RoutingTable, source: Source, settings: config.Settings) -> FailoverKeeper | None:
    """Go on with the failovers that were on when the sidecar ended, and remember those to come."""
    if settings.state_dir is None:
        return None
    table.remember(memory.load(settings.state_dir, source.url))
    keeper = FailoverKeeper(settings.state_dir, source.url)
    table.subscribe(keeper.changed)
    keeper.start()
    return keeper


def _with_reactions(source: Source, settings: config.Settings, shared: SharedAudit | None) -> Reactions | None:
    """Begin what is to be done about changes, where that is configured. Raises ConfigError."""
    if not settings.reactions:
        return None
    from sidecar.reactions.runner import Reactions  # noqa: PLC0415 - only where it is asked for

    reactions = Reactions(settings.reactions, source=source.url, state_dir=settings.state_dir, claims=shared)
    reactions.start()
    return reactions


def _with_audit(
    table: RoutingTable,
    source: Source,
    settings: config.Settings,
    reactions: Reactions | None,
    shared: SharedAudit | None,
) -> Audit | None:
    """Keep a record of changes from now on, and tell them to the reactions."""
    if settings.state_dir is None and reactions is None:
        return None
    takers = () if reactions is None else (reactions.take,)
    audit = Audit(
        source.url,
        state_dir=settings.state_dir,
        max_bytes=settings.audit_size,
        takers=takers,
        shared=shared,
        origin=Origins(source).of,
    )
    table.subscribe(audit.changed)
    audit.start()
    return audit


def _with_override(table: RoutingTable, settings: config.Settings) -> Source | None:
    """Let the document of `--override` go before the source's, from now on, whenever there is one."""
    if settings.override is None:
        return None
    override = open_source(f"file:{settings.override}", {})
    take = partial(table.override, override.url)
    try:
        take(override.read(_OVERRIDE_READ_S))
    except SourceError as error:
        take(Unreachable(str(error)))
    override.start(take)
    return override


def _with_web(
    table: RoutingTable,
    server: Server,
    settings: config.Settings,
    source: Source,
    health: HealthChecks,
    savers: Sequence[Callable[[], Saved]],
) -> WebServer | None:
    """Return what serves HTTP, where that is asked for: else nothing of it takes memory."""
    if settings.http is None:
        return None
    from sidecar.web.beside import Beside  # noqa: PLC0415 - only where it is asked for
    from sidecar.web.server import WebServer  # noqa: PLC0415
    from sidecar.web.settings import WebSettings  # noqa: PLC0415

    web = WebSettings(
        http=settings.http,
        http_token_file=settings.http_token_file,
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        allow_plaintext=settings.allow_plaintext,
    )
    history = partial(outlines, settings.state_dir / FOLDER) if settings.state_dir is not None else None
    beside = Beside(probes=health.outcomes, savers=savers, history=history)
    return WebServer(table, server.tally, settings=web, source=source.url, beside=beside)


def _greet(source: Source, addresses: Sequence[str], settings: config.Settings) -> None:
    log.info("dc-sidecar %s serves %s on %s", __version__, source.url, ", ".join(addresses))
    if settings.log_format != "console":
        return
    command = "dc-sidecar" if shutil.which("dc-sidecar") else shlex.quote(os.path.relpath(sys.argv[0]))
    asked = "" if addresses[0] == "127.0.0.1:50051" else f" --sidecar {shlex.quote(addresses[0])}"
    lines = [
        "Ask it, in another terminal:",
        f"  {command} filter billing --job 7 --candidates dc1=2,dc2=1{asked}",
        f"  {command} status{asked}",
    ]
    if source.url.startswith("file:"):
        lines += ["Then edit the document, save it, and ask again:", f"  {source.url.removeprefix('file:')}"]
    sys.stderr.write("\n".join(lines) + "\n")
