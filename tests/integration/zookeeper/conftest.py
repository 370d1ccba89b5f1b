from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from kazoo.client import KazooClient

from sidecar.lifecycle import SourceState
from sidecar.routing.decision import decide
from sidecar.routing.model import Active
from sidecar.sources import open_source
from sidecar.sources.base import Content, Report
from sidecar.sources.zookeeper import ZooKeeperSource
from sidecar.table import RoutingTable
from sidecar.view import View
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client
from tests.waiting import eventually

NODE = "/routing"
# A change made while the server was away is in force so soon after its return.
AFTER_RETURN = 5.0

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("zookeeper")


@dataclass(frozen=True, slots=True)
class Worker:
    datacenter: str
    address: str = ""
    metrics: str = ""
    tag: str = ""


class Serving:
    """A source, the table behind it, and a scheduler that never stops asking where a job may run."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        source = open_source(url, options or {})
        assert isinstance(source, ZooKeeperSource)
        self.source = source
        self.reports: list[tuple[float, Report]] = []
        self.decided: list[tuple[float, str]] = []
        self.states: list[tuple[float, SourceState]] = []
        self.decisions = 0
        self.failed: list[BaseException] = []
        self._table = RoutingTable()
        self._over = threading.Event()
        self._scheduler = threading.Thread(target=self._ask, name="scheduler")

    def __enter__(self) -> Self:
        self._table.subscribe(self._note)
        self._table.start()
        self._scheduler.start()
        self.source.start(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop(5)
        self._over.set()
        self._scheduler.join()
        self._table.stop()
        assert not self.failed, f"{len(self.failed)} of {self.decisions} decisions failed: {self.failed[0]!r}"

    @property
    def state(self) -> SourceState:
        return self._table.view.status.state

    @property
    def error(self) -> str:
        return self._table.view.status.error

    @property
    def history(self) -> list[str]:
        """The datacenters that were decided for, repetitions dropped."""
        return [datacenter for _, datacenter in self.decided]

    @property
    def states_passed(self) -> list[str]:
        return [state.name for _, state in self.states]

    @property
    def session_id(self) -> int:
        """The session of the client that watches now."""
        assert self.source._watch is not None
        client = self.source._watch._session._client.client_id
        return int(client[0]) if client else 0

    def decides_for(self, datacenter: str, within: float = 20.0) -> None:
        """Wait until decisions are by the document that names this datacenter."""
        eventually(lambda: self.history[-1:] == [datacenter], f"decisions for {datacenter}; {self}", within=within)

    def is_in(self, state: SourceState, within: float = 20.0) -> None:
        eventually(lambda: self.state is state, f"source_state {state.name}; {self}", within=within)

    def confirmed_since(self, moment: float) -> bool:
        """Return whether the source has reported its document after `moment` (monotonic)."""
        return any(at > moment and isinstance(report, Content) for at, report in self.reports[-50:])

    def __str__(self) -> str:
        return f"state {self.state.name} {self.error!r}, states {self.states_passed}, decided {self.history}"

    def _take(self, report: Report) -> None:
        self.reports.append((time.monotonic(), report))
        self._table.deliver(report)

    def _note(self, before: View, after: View) -> None:
        if before.status.state is not after.status.state:
            self.states.append((time.monotonic(), after.status.state))

    def _ask(self) -> None:
        while not self._over.wait(0.002):
            state = self._table.view.state
            if state is None:
                continue
            self.decisions += 1
            try:
                selector = state.document.default.selector
                assert isinstance(selector, Active)
                decision = decide(state, "billing", "7", "70", [Worker("elsewhere"), Worker(selector.datacenter)])
                assert list(decision.indices) == [1], decision
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test raises it
                self.failed.append(error)
            else:
                if self.history[-1:] != [decision.datacenter]:
                    self.decided.append((time.monotonic(), decision.datacenter))


def change(server: ZooKeeperServer, datacenter: str, *others: ZooKeeperServer) -> None:
    """Write the document as an operator does who comes by a connection of their own."""
    with zookeeper_client(",".join(each.address for each in (server, *others))) as operator:
        operator.ensure_path(NODE)
        operator.set(NODE, datacenter.encode())


def follows_by_watch(serving: Serving, server: ZooKeeperServer, datacenter: str) -> None:
    """Check that changes come by the watch: two in a row take less than there is between two looks without it.

    A busy machine can delay a pair; looks alone never bring one as quickly.
    """
    with zookeeper_client(server.address) as writer:

        def pair_in_time() -> bool:
            began = time.monotonic()
            for each in (f"not-{datacenter}", datacenter):
                writer.set(NODE, each.encode())
                serving.decides_for(each)
            return time.monotonic() - began < 1.5

        eventually(pair_in_time, "two changes within 1.5 s")


Serve = Callable[..., Serving]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Begin to serve a URL; at the test's end it is stopped, and no decision may have failed."""
    with ExitStack() as stack:
        yield lambda url, options=None: stack.enter_context(Serving(url, options))


@pytest.fixture
def node() -> str:
    """Name a node that no other test uses; neither it nor its parent exists."""
    return f"/test-{next(_numbers)}/routing"


@pytest.fixture(scope="session")
def operator(zookeeper: ZooKeeperServer) -> Iterator[KazooClient]:
    """Connect an operator to the shared server."""
    with zookeeper_client(zookeeper.address) as client:
        yield client
