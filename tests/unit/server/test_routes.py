"""Routes as GetRoute and WatchRoutes return them."""

from __future__ import annotations

import threading

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, FailoverStates, Phase
from sidecar.routing.outage import Fault, FaultKind, OutageKind, ProbeFailure, unhealthy
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.server.routes import FAULT_KINDS, OUTAGE_KINDS, RouteUpdateCache, app_route, outages, route_update

NOON = 1_795_262_400 * 10**9
DOCUMENT = b"""
datacenters: {dc1: {}, dc2: {available: false}, dc3: {}, dc4: {}}
default: {active: dc1, backups: [dc2, dc3], min_workers: 2}
apps:
  plain: dc3
  shared: {split: {dc1: 90, dc4: 10, dc3: 0}, jobs: {"7": dc4}}
  ramped: {ramp: {from: dc1, to: dc3, start: "2026-11-21T00:00:00Z", duration: 4d, steps: 4}, backups: []}
drills:
  - {datacenter: dc1, until: "2027-01-01T00:00:00Z", apps: [shared, unnamed], reason: Q4}
"""


def state(text: bytes = DOCUMENT, *, stale: bool = False) -> State:
    """Return a State of a document at noon of 2026-11-21."""
    return State(parse_document(text), generation=5, now_ns=NOON, stale=stale)


def weights(route: pb.AppRoute) -> dict[str, float]:
    """Return a route's weights by datacenter."""
    return {entry.datacenter: entry.weight for entry in route.weights}


def test_an_application_that_the_document_names() -> None:
    """Its own selector and the rest inherited, with the name; what it uses and is out of service is unavailable."""
    route = app_route(state(), "plain")
    assert route.app == "plain"
    assert weights(route) == {"dc3": 1.0}
    assert list(route.backups) == ["dc2", "dc3"]
    assert list(route.unavailable) == ["dc2"]
    assert (route.min_workers, route.generation) == (2, 5)
    assert route.revision == parse_document(DOCUMENT).revision


def test_an_application_that_it_does_not_name_has_the_default_route() -> None:
    """The name is empty then, as for a request without one; a drill that names the application counts."""
    assert app_route(state(), "unheard-of") == app_route(state())
    assert app_route(state()).app == ""
    assert list(app_route(state()).unavailable) == ["dc2"]
    drilled = app_route(state(), "unnamed")
    assert drilled.app == ""
    assert list(drilled.unavailable) == ["dc1", "dc2"]


def test_splits_ramps_and_jobs() -> None:
    """Weights are those of now, a weight of 0 included; a job's own route is reported for that job only."""
    assert weights(app_route(state(), "shared")) == {"dc1": 90, "dc4": 10, "dc3": 0}
    assert weights(app_route(state(), "shared", "7")) == {"dc4": 1}
    assert weights(app_route(state(), "ramped")) == {"dc1": 4, "dc3": 0}


def test_no_route_has_no_weights() -> None:
    """Where nothing is routed, there is nothing in the route."""
    assert not app_route(state(b"version: 1"), "plain").weights


def test_an_update_has_the_default_route_and_those_named() -> None:
    """The update has the routes that GetRoute reports; applications that the document does not name are left out."""
    now = state(stale=True)
    update = pb.RouteUpdate.FromString(route_update(now, ()))
    assert (update.revision, update.generation, update.stale) == (now.document.revision, 5, True)
    assert update.default_route == app_route(now)
    assert list(update.routes) == [app_route(now, app) for app in ("plain", "shared", "ramped")]
    some = pb.RouteUpdate.FromString(route_update(now, ("shared", "unheard-of")))
    assert [route.app for route in some.routes] == ["shared"]


def test_long_names_and_many_routes_are_encoded_right() -> None:
    """Lengths that take more than one byte are written as protobuf reads them."""
    names = [f"{'é' * (number % 250 + 1)}{number}" for number in range(500)]
    now = state(("default: dc1\napps: {" + ", ".join(f"{name}: dc2" for name in names) + "}").encode())
    update = pb.RouteUpdate.FromString(route_update(now, ()))
    assert [route.app for route in update.routes] == names
    assert update.routes[300] == app_route(now, names[300])


def test_an_update_is_encoded_once_for_all_who_watch_the_same() -> None:
    """Many threads that ask for the same State and applications get the same bytes object, a new State another one."""
    updates = RouteUpdateCache()
    now, later = state(), state(stale=True)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(updates.encoded(now, ("plain",)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(update) for update in found}) == 1
    assert updates.encoded(later, ("plain",)) != found[0]


def test_outages_have_kinds_and_parameters() -> None:
    """Each outage of a status says what it is, for whom, since and until when, beside the text for people."""
    fault = Fault(FaultKind.PROBES, probes=(ProbeFailure("tcp gw:1", "refused"),), since_ns=NOON)
    few = Fault(FaultKind.TOO_FEW_WORKERS, workers=1, needed=2)
    failed: FailoverStates = {(("billing", "7"), "dc4"): FailoverState(Phase.FAILED, NOON, NOON, few)}
    now = State(parse_document(DOCUMENT), 5, NOON, unhealthy={"dc3": unhealthy(fault)}, failover_states=failed)
    found = {(each.datacenter, each.app): each for each in outages(now)}
    assert found.keys() == {("dc3", ""), ("dc2", ""), ("dc1", "shared"), ("dc1", "unnamed"), ("dc4", "billing/7")}
    noon_ms = NOON // 10**6
    assert (found["dc2", ""].kind, found["dc2", ""].reason) == (pb.OUTAGE_KIND_MARKED, "marked")
    drill = found["dc1", "shared"]
    assert (drill.kind, drill.reason, drill.drill_reason) == (pb.OUTAGE_KIND_DRILL, "drill: Q4", "Q4")
    assert drill.until_ms == (parse_time("2027-01-01T00:00:00Z") or 0) // 10**6
    down = found["dc3", ""]
    assert (down.kind, down.since_ms, down.fault.since_ms) == (pb.OUTAGE_KIND_UNHEALTHY, noon_ms, noon_ms)
    assert [(each.probe, each.error) for each in down.fault.probes] == [("tcp gw:1", "refused")]
    left = found["dc4", "billing/7"]
    assert (left.kind, left.since_ms) == (pb.OUTAGE_KIND_FAILED_OVER, noon_ms)
    assert (left.fault.kind, left.fault.workers, left.fault.needed) == (pb.FAULT_KIND_TOO_FEW_WORKERS, 1, 2)


def test_every_kind_has_its_number() -> None:
    """The enums of the rules are those of the contract, by name."""
    assert {pb.OutageKind.Name(number) for number in OUTAGE_KINDS.values()} == {
        f"OUTAGE_KIND_{kind.name}" for kind in OutageKind
    }
    assert {pb.FaultKind.Name(number) for number in FAULT_KINDS.values()} == {
        f"FAULT_KIND_{kind.name}" for kind in FaultKind
    }


def test_the_details_of_an_update() -> None:
    """On request: the datacenters with their networks, the routes of single jobs, and what is out of service."""
    text = DOCUMENT.replace(b"dc3: {}, dc4", b"dc3: {cidrs: [10.3.0.0/16]}, dc4")
    text += b'workers: [{match: "10.3.0.7:*", available: false}, {match: b}]'
    update = pb.RouteUpdate.FromString(route_update(state(text), (), detail=True))
    assert update.detailed
    assert list(update.drained_workers) == ["10.3.0.7:*"]
    assert [(entry.name, list(entry.cidrs)) for entry in update.datacenters] == [
        ("dc1", []),
        ("dc2", []),
        ("dc3", ["10.3.0.0/16"]),
        ("dc4", []),
    ]
    (job,) = update.job_routes
    assert (job.app, job.job, weights(job)) == ("shared", "7", {"dc4": 1})
    assert {(outage.datacenter, outage.app) for outage in update.outages} == {
        ("dc2", ""),
        ("dc1", "shared"),
        ("dc1", "unnamed"),
    }
    plain = pb.RouteUpdate.FromString(route_update(state(text), ()))
    assert not plain.detailed
    assert [*plain.datacenters, *plain.job_routes, *plain.outages] == []
    assert plain.routes == update.routes


def test_updates_with_and_without_details_are_kept_apart() -> None:
    """Watchers of the same applications get what they asked for."""
    cache, now = RouteUpdateCache(), state()
    assert cache.encoded(now, (), detail=True) != cache.encoded(now, ())
    assert cache.encoded(now, (), detail=True) is cache.encoded(now, (), detail=True)
