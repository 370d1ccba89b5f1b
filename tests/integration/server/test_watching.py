"""WatchRoutes, with few watchers and with many."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from typing import cast

import grpc
import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import SERVICE, Caller, Client, Updates
from tests.integration.server.conftest import Serve
from tests.waiting import eventually


class Follower:
    """A watcher with a thread that keeps what comes, and how it ended."""

    def __init__(self, updates: Updates) -> None:
        self.seen: list[pb.RouteUpdate] = []
        self.ended: grpc.RpcError | None = None
        self._updates = updates
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            for update in self._updates:
                self.seen.append(update)
        except grpc.RpcError as error:
            self.ended = error


def test_an_update_at_once_and_at_each_change(serve: Serve) -> None:
    """The first update has the routes as they stand; a document, a lost source and its return bring one each."""
    served = serve()
    updates = served.client.watch()
    first = next(updates)
    assert [route.app for route in first.routes] == ["billing", "reports"]
    revision = served.put("default: dc3\napps: {billing: dc1}")
    second = next(updates)
    assert (second.revision, second.default_route.weights[0].datacenter) == (revision, "dc3")
    assert second.generation > first.generation
    served.source.lose()
    assert next(updates).stale
    served.put("default: dc3\napps: {billing: dc1}")
    assert not next(updates).stale


def test_some_applications(serve: Serve) -> None:
    """Who watches some applications gets those of them that the document names, now and as it comes to name them."""
    served = serve()
    updates = served.client.watch("billing", "new", "billing")
    assert [route.app for route in next(updates).routes] == ["billing"]
    served.put("default: dc3\napps: {billing: dc1, other: dc1, new: dc2}")
    assert [route.app for route in next(updates).routes] == ["billing", "new"]


def test_what_changes_no_decision_is_not_told(serve: Serve) -> None:
    """A source that confirms the same text, or a refused one, brings no update: the next one is the next generation."""
    served = serve()
    follower = Follower(served.client.watch())
    eventually(lambda: follower.seen, "the first update")
    served.source.put("apps: [")
    eventually(lambda: served.client.status().source_state == pb.SOURCE_STATE_REJECTED, "a refusal")
    served.put("dc3")
    eventually(lambda: follower.seen[-1].default_route.weights[0].datacenter == "dc3", "the change")
    assert [update.generation for update in follower.seen] == [1, 2]


def test_a_slow_watcher_gets_the_newest(serve: Serve) -> None:
    """A watcher that does not read misses what lies between and gets the last State, and holds up nobody else."""
    apps = {f"application-{number}": "dc1" for number in range(5000)}
    served = serve(json.dumps({"apps": apps}))
    # A window that does not grow, so that little is on its way to who does not read.
    options = (("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(served.address, options) as channel, Client(served.address) as other:
        call = channel.unary_stream(SERVICE + "WatchRoutes", None, pb.RouteUpdate.FromString)
        slow = cast("Updates", call(b""))
        quick = Follower(other.watch("application-1"))
        revisions = [served.put(json.dumps({"apps": apps, "default": f"dc{number}"})) for number in range(30)]
        eventually(lambda: quick.seen and quick.seen[-1].revision == revisions[-1], "the last document told")
        seen = [next(slow)]
        while seen[-1].revision != revisions[-1]:
            seen.append(next(slow))
    assert all(len(update.routes) == 5000 for update in seen)
    assert len(seen) < 15


def test_a_watcher_that_leaves_is_forgotten(serve: Serve) -> None:
    """A cancelled watch, and one whose connection is gone, give their places back."""
    served = serve(max_streams=2)
    for _ in range(10):
        with Client(served.address) as client:
            updates = client.watch()
            next(updates)
            updates.cancel()
            next(client.watch())
        eventually(lambda: served.server._watch_slots.empty, "both places free")
        assert not served.server._watches._broadcaster._watchers


def test_200_watchers_do_not_starve_decisions(serve: Serve) -> None:
    """With 200 watchers, far more than threads, calls go on at full load through changes, and all watchers get them."""
    served = serve()
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(served.address)) for _ in range(10)]
        followers = [Follower(client.watch()) for client in clients for _ in range(20)]
        eventually(lambda: all(follower.seen for follower in followers), "200 first updates", within=30)
        callers = [stack.enter_context(Caller(served.address, every=0)) for _ in range(4)]
        for number in range(5):
            revision = served.put(f"default: dc{number}")
            for caller in callers:
                caller.until(lambda answer, now=revision: answer.revision == now, "answers by the new document")  # type: ignore[misc]
            eventually(
                lambda now=revision: all(follower.seen[-1].revision == now for follower in followers),  # type: ignore[misc]
                "every watcher told",
                within=30,
            )
        for caller in callers:
            caller.stop()
            caller.no_failures()
            # Starved callers would get no answer until the watchers are gone.
            assert caller.longest_gap() < 10
        assert not any(follower.ended for follower in followers)


@pytest.mark.timed
def test_watchers_beyond_the_bound_are_refused(serve: Serve) -> None:
    """One stream more than allowed is RESOURCE_EXHAUSTED at once, and decisions and checks are not touched."""
    served = serve(max_streams=3)
    watches = [served.client.watch() for _ in range(3)]
    for watch in watches:
        next(watch)
    began = time.monotonic()
    with pytest.raises(grpc.RpcError, match="too many concurrent calls") as refused:
        next(served.client.watch())
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert time.monotonic() - began < 1
    assert served.client.filter().datacenter == "dc2"
    watches[0].cancel()

    def again() -> bool:
        try:
            return bool(next(served.client.watch()).revision)
        except grpc.RpcError:
            return False

    eventually(again, "a place for another watcher")
