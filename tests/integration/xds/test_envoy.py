"""A real Envoy follows the sidecar, with the bootstraps of docs/followers/envoy.md as they stand there."""

from __future__ import annotations

import time
from functools import partial
from statistics import median

import pytest

from tests.harness import Caller
from tests.integration.xds.conftest import DATACENTERS, DOCUMENT, Envoy, Served
from tests.integration.xds.upstreams import Load, count, served_by
from tests.waiting import eventually

DC1 = DATACENTERS + "default: dc1\n"
DC2 = DATACENTERS + "default: dc2\n"
DRILL = 'drills: [{datacenter: dc1, until: "2126-01-01T00:00:00Z", reason: Q4 drill}]\n'


def settled(envoy: Envoy, *expected: str) -> None:
    """Wait until these answer, and nobody else."""
    eventually(lambda: {*count(envoy.port, 40)} == {*expected}, f"only {', '.join(expected)} answer")


def first_decision(caller: Caller, since: int, datacenter: str) -> float | None:
    """Return when a decision for a datacenter was answered first, since one of these answers."""
    return next((answer.at + answer.took for answer in caller.answers[since:] if answer.datacenter == datacenter), None)


def _has(load: Load, replies: int) -> bool:
    return len(load.replies) >= replies


def test_split(envoy: Envoy) -> None:
    """Of 3000 requests each datacenter gets its share of 90:10, within the noise."""
    found = count(envoy.port, 3000)
    assert found.total() == found["dc1"] + found["dc2"]
    # Four standard deviations.
    assert found["dc2"] / 3000 == pytest.approx(0.1, abs=0.022)


def test_drill(served: Served, envoy: Envoy) -> None:
    """A drill takes a datacenter out at once; its end brings it back."""
    served.put(DOCUMENT + DRILL)
    settled(envoy, "dc2")
    served.put(DOCUMENT)
    settled(envoy, "dc1", "dc2")


def test_failover(served: Served, envoy: Envoy) -> None:
    """A datacenter that is marked unavailable hands its work to the backup."""
    served.put(DATACENTERS.replace("dc1: {}", "dc1: {available: false}") + "default: {active: dc1, backups: [dc2]}\n")
    settled(envoy, "dc2")


def test_ramp(served: Served, envoy: Envoy) -> None:
    """The clock alone moves the requests: a ramp of two seconds ends in the new datacenter."""
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    served.write(DATACENTERS + f'default: {{ramp: {{from: dc1, to: dc2, start: "{start}", duration: 2s, steps: 4}}}}\n')
    settled(envoy, "dc2")


def test_nowhere(served: Served, envoy: Envoy) -> None:
    """Where no datacenter may serve, requests get 503, until one may."""
    served.put(DATACENTERS.replace("{}", "{available: false}") + "default: {active: dc1, backups: [dc2]}\n")
    settled(envoy, "503")
    served.put(DC1)
    settled(envoy, "dc1")


@pytest.mark.timed
def test_switch_under_load(served: Served, envoy: Envoy) -> None:
    """No request fails at switches under load, and the first request that is routed anew is 0.1 s behind decisions."""
    served.put(DC1)
    settled(envoy, "dc1")
    behind = []
    with Load(envoy.port) as load, Caller(served.process.address) as caller:
        for target, document in (("dc2", DC2), ("dc1", DC1)) * 4:
            replies, answers = len(load.replies), len(caller.answers)
            served.write(document)
            routed = load.first(target, replies).at
            decided = eventually(partial(first_decision, caller, answers, target), "the decision") or 0.0
            behind.append(routed - decided)
            eventually(partial(_has, load, replies + 100), "requests between two switches")
    assert load.failures() == []
    took = load.replies[-1].at - load.replies[0].at
    rate = len(load.replies) / took
    print(f"\nrouted anew {1000 * median(behind):.1f} ms after the decision (median), at {rate:.0f} requests/s")
    assert median(behind) < 0.1
    caller.no_failures()


def test_restart_of_the_sidecar(served: Served, envoy: Envoy) -> None:
    """Envoy keeps its weights while the sidecar is away, without a failed request, and follows the next one."""
    served.put(DC2)
    settled(envoy, "dc2")
    with Load(envoy.port) as load:
        served.process.kill()
        served.write(DC1)
        gone = len(load.replies)
        eventually(lambda: len(load.replies) > gone + 100, "requests without a sidecar")
        assert {reply.body for reply in load.replies[gone:]} == {"dc2"}
        served.process.start()
        eventually(lambda: load.replies[-1].body == "dc1", "the new sidecar's document", within=40)
    assert load.failures() == []


def test_restart_of_envoy(served: Served, envoy: Envoy) -> None:
    """An Envoy that starts serves by the document before its static weights count, and is known as connected again."""
    served.put(DC2)
    envoy.kill()
    nodes = {"edge-1", "edge-2"}
    eventually(lambda: all(not each["connected"] for each in served.clients() if each["node"] in nodes), "it left")
    envoy.start()
    assert served_by(envoy.port) == "dc2"
    eventually(lambda: any(each["connected"] for each in served.clients() if each["node"] in nodes), "it is back")


def test_status(served: Served, envoy: Envoy) -> None:
    """Status and metrics have the node, its release, and the version that it acknowledged."""
    served.put(DC2)
    settled(envoy, "dc2")
    node, kind = ("edge-1", "RTDS") if envoy.runtime() else ("edge-2", "RDS")
    status = served.process.status()
    version = f"{status.revision}.{status.generation}"
    eventually(lambda: served.subscription(node, kind).get("acknowledged") == version, "the version acknowledged")
    client = served.client(node)
    assert client is not None
    assert client["agent"].startswith("envoy 1.")
    assert client["protocol"] == ("sotw" if kind == "RTDS" else "delta")
    assert served.subscription(node, kind)["names"] == ["billing"]
    assert served.subscription(node, kind)["rejection"] is None
    metrics = served.metrics()
    assert f'dc_sidecar_xds_clients_rejecting{{type="{kind}"}} 0.0' in metrics
    assert f'dc_sidecar_xds_responses_total{{outcome="acknowledged",type="{kind}"}}' in metrics
