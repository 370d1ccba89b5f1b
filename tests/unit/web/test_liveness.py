"""Whether the sidecar says that it is alive."""

from __future__ import annotations

import asyncio
import json

from starlette.types import Message

from sidecar.counters import CallStats, ProcessCounts
from sidecar.table import RoutingTable
from sidecar.web.app import HttpApi
from sidecar.web.metrics import DocumentMetrics, Metrics
from sidecar.web.page_data import PageData
from sidecar.web.rates import DecisionRates
from sidecar.web.recent_changes import RecentChanges
from sidecar.web.status import Identity

IDENTITY = Identity(source="file:/x", environment="", host="host")


def test_it_is_not_alive_while_the_thread_that_answers_is_held() -> None:
    """The reason is named; once the thread turns again, it is alive."""
    held = 12.0
    table, stats = RoutingTable(), CallStats()
    api = HttpApi(
        table,
        identity=IDENTITY,
        metrics=Metrics(table, stats, DocumentMetrics(), PageData(), IDENTITY),
        processes=lambda: ProcessCounts(serving=1, wanted=1),
        tasks=tuple,
        rates=DecisionRates(stats.decisions),
        recent=RecentChanges(),
        history=None,
        live_workers=lambda _: ({}, 0),
        held_s=lambda: held,
    )
    assert _healthz(api) == (
        503,
        {"alive": False, "failing": {"grpc": "its thread has been at one event for 12 s: see the log"}},
    )
    held = 0.0
    assert _healthz(api) == (200, {"alive": True, "failing": {}})
    held = 12.0
    api.stopping = True
    assert _healthz(api)[0] == 200


def _healthz(api: HttpApi) -> tuple[int, object]:
    """Request /healthz of the application; return its status and body."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [], "query_string": b""}
    asyncio.run(api.app()(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])
