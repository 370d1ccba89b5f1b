from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from sidecar.config.hosts import HostPattern
from sidecar.errors import ProbeFailed
from sidecar.health.checks import HealthChecks
from sidecar.health.hosts import AllowedHosts
from sidecar.routing.document import parse_document
from sidecar.routing.model import Probe
from sidecar.routing.wording import outage_text
from sidecar.sources.base import Content
from sidecar.table import RoutingTable
from sidecar.view import LoadedDocument
from sidecar.wording import view_text
from tests.waiting import eventually

LOCAL = AllowedHosts([HostPattern("localhost", None, None)])


class Network:
    """Stands for all that probes reach: who is down, and who was asked."""

    def __init__(self) -> None:
        self.down: set[int] = set()
        self.asked: list[int] = []
        self.hangs = threading.Event()
        self.hangs.set()

    def attempt(self, probe: Probe, _addresses: Sequence[str], _timeout: float) -> None:
        self.asked.append(probe.port)
        self.hangs.wait(10)
        if probe.port in self.down:
            raise ProbeFailed("refused")


class Scene:
    def __init__(self, hosts: AllowedHosts = LOCAL) -> None:
        self.network = Network()
        self.table = RoutingTable()
        self.health = HealthChecks(self.table, hosts, attempt=self.network.attempt)
        self.table.subscribe(self.health.changed)
        self.table.start()

    def put(self, text: str) -> None:
        self.table.deliver(Content(text.encode(), text))
        eventually(lambda: self.table.view.text == text.encode(), "the document")

    def out(self, *datacenters: str) -> None:
        """Wait until these are out of service."""
        eventually(lambda: self._out() == set(datacenters), f"{datacenters} to be out")

    def _out(self) -> set[str]:
        return set(self.table.view.state.out) if self.table.view.state else set()


@pytest.fixture(autouse=True)
def _no_other_probe() -> None:
    """Let the probes of earlier tests end: tests count those of the whole process."""
    eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("probe ")], "their end")


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Run a table whose document's probes may reach localhost."""
    scene = Scene()
    yield scene
    scene.network.hangs.set()
    scene.health.stop()
    scene.table.stop()


def document(*ports: int, rest: str = "") -> str:
    """Return a document in which dc1, dc2 … have a probe of one port each, and spare has none."""
    probed = [
        f"  dc{number}: {{probes: [{{tcp: 'localhost:{port}'}}], interval: 1s, fall: 1, rise: 1}}"
        for number, port in enumerate(ports, start=1)
    ]
    return "\n".join(["default: {active: dc1, backups: [spare]}", "datacenters:", *probed, "  spare: {}", rest])


def test_a_datacenter_that_fails_its_probe_is_out_until_it_passes(scene: Scene) -> None:
    """A verdict makes a State with the reason, and the return makes the next one."""
    scene.network.down.add(1)
    scene.put(document(1))
    scene.out("dc1")
    assert scene.table.view.state is not None
    assert outage_text(scene.table.view.state.out["dc1"]).startswith("probes: tcp localhost:1: refused, since ")
    scene.network.down.clear()
    scene.out()


def test_a_new_document_goes_on_with_the_probes_it_keeps(scene: Scene) -> None:
    """An edit elsewhere forgets no verdict, and a probe that is gone from the document is not made any more."""
    scene.network.down.update({1, 2})
    scene.put(document(1, 2))
    scene.out("dc1", "dc2")
    scene.put(document(1, 2, rest="# an edit"))
    scene.out("dc1", "dc2")
    scene.put(document(1))
    scene.out("dc1")
    threads = [thread.name for thread in threading.enumerate()]
    eventually(lambda: "probe dc2" not in [thread.name for thread in threading.enumerate()], "its end")
    assert threads.count("probe dc1") == 1


def test_a_document_from_the_snapshot_is_probed(scene: Scene) -> None:
    """A start while the config center is away probes what the snapshot's document asks for."""
    other = Scene.__new__(Scene)
    other.network, other.table = scene.network, RoutingTable()
    other.health = HealthChecks(other.table, LOCAL, attempt=scene.network.attempt)
    other.table.subscribe(other.health.changed)
    scene.network.down.add(1)
    text = document(1).encode()
    other.table.restore(LoadedDocument(text, parse_document(text)), 7)
    other.table.start()
    other.out("dc1")
    other.health.stop()
    other.table.stop()


def test_when_all_are_down_none_is(scene: Scene) -> None:
    """With every datacenter judged down the checks do not count, loudly; with one back, the others are out."""
    scene.network.down.update({1, 2})
    text = document(1, 2).replace("  spare: {}\n", "").replace("spare", "dc2")
    scene.put(text)
    eventually(lambda: "do NOT count" in view_text(scene.table.view), "the alarm")
    scene.out()
    scene.network.down.discard(2)
    scene.out("dc1")
    eventually(lambda: view_text(scene.table.view) == "", "the alarm's end")


def test_a_probe_that_hangs_holds_up_nothing(scene: Scene) -> None:
    """While a probe does not return, documents come in force and the table stops in time."""
    scene.network.hangs.clear()
    scene.put(document(1))
    eventually(lambda: scene.network.asked, "a probe under way")
    scene.put(document(2))
    eventually(lambda: 2 in scene.network.asked, "the other probe")


def test_what_is_not_allowed_is_not_probed() -> None:
    """A host that the configuration does not allow is never asked for, counts as well, and an alert says so."""
    scene = Scene(AllowedHosts([]))
    scene.put(document(1))
    expected = "these probes are not made: tcp localhost:1 of dc1: --probe-hosts does not allow localhost:1"
    eventually(lambda: view_text(scene.table.view) == expected, "the notice")
    assert scene.network.asked == []
    assert "probe dc1" not in [thread.name for thread in threading.enumerate()]
    scene.table.stop()


def test_a_document_cannot_ask_for_any_number_of_probes(scene: Scene) -> None:
    """Beyond 64 probes the rest is not made, and an alert says which."""
    scene.put(document(*range(1, 71)))
    eventually(lambda: "tcp localhost:65 of dc65: there are 64 already" in view_text(scene.table.view), "the notice")
    assert view_text(scene.table.view).endswith("; and 1 more")
    eventually(lambda: len(set(scene.network.asked)) == 64, "the first 64")


def test_probes_that_never_end_do_not_pile_up(scene: Scene) -> None:
    """Documents that change while probes hang get no more than twice the threads that one document may have."""
    scene.network.hangs.clear()

    def told() -> bool:
        return "earlier ones have not ended yet" in view_text(scene.table.view)

    for number in range(3):
        ports = set(range(100 * number + 1, 100 * number + 60))
        scene.put(document(*sorted(ports)))
        eventually(lambda ports=ports: told() or ports <= set(scene.network.asked), "probes under way")  # type: ignore[misc]
    eventually(told, "the notice")
    alive = [thread.name for thread in threading.enumerate() if thread.name.startswith("probe ")]
    assert len(alive) <= 128
    scene.network.hangs.set()
