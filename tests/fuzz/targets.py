"""The fuzz targets: each takes bytes and raises if the sidecar handles them wrongly."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from sidecar import snapshot
from sidecar.audit.chain_head import HeadFile
from sidecar.audit.hash_chain import append_link, read_link
from sidecar.audit.journal_reader import verify
from sidecar.audit.record import record_of
from sidecar.counters import CallStats
from sidecar.errors import BadRequest, ChainBroken, DocumentRejected, SnapshotUnusable
from sidecar.health import failover_store
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.explain import explain
from sidecar.routing.location import reported_datacenter
from sidecar.routing.state import State
from sidecar.server.decisions import DecisionHandler
from sidecar.server.large_requests import made
from sidecar.table import RoutingTable
from sidecar.view import LoadedDocument
from sidecar.web.auth import AuthMiddleware
from sidecar.web.page_data import PageData
from sidecar.web.recent_changes import RecentChanges
from sidecar.web.server import WebServer
from sidecar.web.settings import WebSettings
from sidecar.yaml_reader import places, read

_SIZE = 64 * 1024
_NOON = 1_795_000_000_000_000_000
_DOCUMENT = b"""\
datacenters: {dc1: {cidrs: [10.1.0.0/16, "fd00:1::/32"]}, dc2: {cidrs: [10.2.0.0/16]}, dc3: {available: false}}
default: {active: dc1, backups: [dc2, dc3]}
apps:
  billing: {split: {dc1: 50, dc2: 50}, sticky: instance, jobs: {"7": dc2}}
  reports: {active: dc3, on_empty: any, min_workers: 2}
drills: [{datacenter: dc2, until: "2999-01-01T00:00:00Z", apps: [reports]}]
"""


_NOT_VISIBLE = re.compile(rb"[^\x20-\x7e]")
_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")


class FoundError(AssertionError):
    """A violation; libFuzzer keeps the input."""


def document(data: bytes) -> None:
    """Parse a document; it must be refused with printable one-line problems, or usable for decisions."""
    try:
        parsed = parse_document(data, max_bytes=_SIZE)
    except DocumentRejected as error:
        for problem in error.problems:
            if not str(problem).isprintable():
                raise FoundError(f"a problem is not one printable line: {str(problem)!r}") from error
        with suppress(UnicodeDecodeError):
            places(data.decode())
        return
    if parsed != parse_document(data, max_bytes=_SIZE):
        raise FoundError("the same bytes are two documents")
    workers = [
        pb.Worker(address="10.1.0.1:1"),
        *(pb.Worker(address=f"{n}:1", datacenter=f"dc{n}") for n in range(1, 4)),
    ]
    text = data.decode().removeprefix("\ufeff")
    for number, app in enumerate(("", *list(parsed.apps)[:3])):
        state = State(parsed, generation=number + 1, now_ns=_NOON)
        decision = decide(state, app, "7", "1", workers)
        if any(not 0 <= index < len(workers) for index in decision.indices):
            raise FoundError(f"a decision chooses workers that nobody named: {decision}")
        tree = text.strip() if len(text.split()) == 1 and ":" not in text else read(text, lambda: None)
        explain(state, tree, app, "7", "1", workers)


@cache
def _table() -> RoutingTable:
    table = RoutingTable(clock=lambda: _NOON)
    table.restore(LoadedDocument(_DOCUMENT, parse_document(_DOCUMENT, max_bytes=_SIZE)), _NOON)
    return table


def _handler(entries: int) -> DecisionHandler:
    return DecisionHandler(_table(), max_candidates=100, memo_entries=entries, memo_bytes=1 << 20)


_remembering: list[DecisionHandler] = []


def request(data: bytes) -> None:
    """Answer a request; the answer must be the same with and without caches.

    It must also match the decision for the request as protobuf decodes it, whatever the order of its fields.
    """
    if not _remembering:
        _remembering.append(_handler(1000))
    fresh = _answer(_handler(0), data)
    for _ in range(3):
        remembered = _answer(_remembering[0], data)
        if remembered != fresh:
            raise FoundError(f"remembered {remembered!r}, fresh {fresh!r}")
    try:
        asked = pb.FilterWorkersRequest.FromString(data)
    except Exception as error:
        if isinstance(fresh, bytes):
            raise FoundError(f"protobuf cannot read what is answered: {error}") from error
        return
    if not isinstance(fresh, bytes):
        return
    answer = pb.FilterWorkersResponse.FromString(fresh)
    state = _table().view.state
    assert state is not None
    decision = decide(state, asked.app, asked.job, asked.instance, asked.candidates, tuple(asked.app_aliases))
    if (list(answer.indices), answer.datacenter, answer.reason) != (
        list(decision.indices),
        decision.datacenter,
        decision.reason.value,
    ):
        raise FoundError(f"answered {answer}, the rules say {decision}")


def _answer(handler: DecisionHandler, data: bytes) -> bytes | str:
    try:
        return made(handler.answer(data))
    except BadRequest as error:
        return error.field


def body(data: bytes) -> None:
    """Read JSON that others may write: metrics of workers, files of the state directory."""
    text = data.decode(errors="replace")
    told = reported_datacenter(text)
    if not isinstance(told, str):
        raise FoundError(f"metrics tell a datacenter that is no text: {told!r}")
    folder = _folder()
    for name in ("snapshot", "failovers", "head"):
        (folder / name).write_bytes(data)
    with suppress(SnapshotUnusable):
        snapshot.load(folder, "file:/x")
    with suppress(SnapshotUnusable):
        # With a valid digest, to reach the checks behind it.
        good = b'{"format": 1, "source": "file:/x", "sha256": "%s", "applied_at_ns": %s}\n'
        (folder / "snapshot").write_bytes(good % (sha256(b"").hexdigest().encode(), data.replace(b"\n", b"") or b"0"))
        snapshot.load(folder, "file:/x")
    failover_store.load(folder, "file:/x")
    with suppress(ChainBroken):
        HeadFile(folder, "head").load()
    with suppress(ChainBroken):
        read_link(data)
    with suppress(ValueError, RecursionError):
        plain = json.loads(data)
        if isinstance(plain, dict):
            line, _ = append_link(plain, 1, "0" * 64)
            with suppress(ChainBroken, KeyError, TypeError, ValueError):
                record_of(read_link(line[:-1]).body)
            (folder / "000000000001.jsonl").write_bytes(line)
            verify(folder)


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="fuzz-")
    # The fuzzer ends without this; its folder is inside one that `tests.fuzz` removes.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _web() -> tuple[asyncio.AbstractEventLoop, ASGIApp]:
    recent = RecentChanges(None)
    server = WebServer(
        _table(),
        CallStats(),
        settings=WebSettings(http="127.0.0.1:0"),
        source="file:/x",
        page_data=PageData(history=lambda *_: iter(()), recent=recent),
    )
    # Long polls and followers of events end at once.
    server._api.stopping = True
    return asyncio.new_event_loop(), AuthMiddleware(server._api.app(), token_file=None)


def http(data: bytes) -> None:
    """Send an HTTP request: lines of path, query, headers (`name: value`). No failure but 503 is right."""
    loop, app = _web()
    # The HTTP parser refuses other characters before the application is called.
    path, query, *lines = (*(_NOT_VISIBLE.sub(b"", line) for line in data.split(b"\n")), b"", b"")
    headers = [(b"host", b"localhost")]
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and _TOKEN.fullmatch(name):
            headers.append((name.lower(), value.strip()))
    status, answered = loop.run_until_complete(
        _ask(app, unquote(path.decode("ascii")), query.replace(b" ", b""), headers)
    )
    if status >= 500 and status != 503:
        raise FoundError(f"{path!r}?{query!r} with {headers} is answered {status}: {answered[:300]!r}")


async def _ask(app: ASGIApp, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    status, parts = 0, list[bytes]()

    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }
    await asyncio.wait_for(app(scope, receive, send), 5)
    return status, b"".join(parts)


TARGETS: Mapping[str, Callable[[bytes], None]] = {"document": document, "request": request, "http": http, "body": body}


def quiet() -> None:
    """Disable logging."""
    logging.disable(logging.CRITICAL)
