"""`filter`."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.client import FilterResult, RoutingClient, Worker
from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar


def test_a_running_sidecar_decides(run: Run, sidecar: Sidecar) -> None:
    """The answer is readable, and is data with -o json."""
    sidecar.serve("default: {active: dc1, backups: [dc2]}\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    result = run("filter", "x", "--candidates", "dc1=1,dc2=1", *at)
    assert result.code == 0
    assert result.out.startswith("dc1  ACTIVE  1 of 2 candidates  revision ")
    assert result.out.endswith("\n  dc1-1\n")
    assert run("filter", "x", "--candidates", "dc2=1", "-o", "json", *at).json["reason"] == "FAILOVER"


def test_an_unknown_application_goes_by_the_default_route(run: Run, sidecar: Sidecar) -> None:
    """A name that the document does not have is said to go by the default route; an alias that it has is not."""
    sidecar.serve("default: dc1\napps: {billing: dc1}\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s", "--candidates", "dc1=1")
    assert "By the default route: the document does not name biling" in run("filter", "biling", *at).err
    assert run("filter", "biling", *at, "-o", "json").json["by_default_route"] is True
    for names in (["billing"], ["7", "--alias", "billing"]):
        assert run("filter", *names, *at).err == ""
        assert run("filter", *names, *at, "-o", "json").json["by_default_route"] is False


def test_a_question_dispatches_nothing(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request says that no run is dispatched by its answer."""
    sidecar.serve("default: dc1\n")
    asked = []
    ask = RoutingClient.filter

    def spying(self: RoutingClient, app: str, **given: Any) -> FilterResult:  # noqa: ANN401 - handed on
        asked.append(given.get("dispatch", False))
        return ask(self, app, **given)

    monkeypatch.setattr(RoutingClient, "filter", spying)
    assert run("filter", "x", "--candidates", "dc1=1", "--sidecar", sidecar.address, "--timeout", "20s").code == 0
    assert asked == [False]


def test_filter_asks_as_the_scheduler_does(run: Run, sidecar: Sidecar) -> None:
    """By name, by number and by an explicit alias: the answer that the scheduler gets, for each of 60 jobs."""
    sidecar.serve("default: {split: {dc1: 50, dc2: 50}}\napps: {'7': {min_workers: 1}}\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s", "--candidates", "dc1=1,dc2=1")
    workers = [Worker(address=name, datacenter=name) for name in ("dc1", "dc2")]
    with RoutingClient(sidecar.address, timeout=20, cache_size=0) as scheduler:
        asked = [
            scheduler.filter("billing", job=str(job), candidates=workers, aliases=["7"], dispatch=True)
            for job in range(60)
        ]
    assert {answer.datacenter for answer in asked} == {"dc1", "dc2"}
    for job, answer in enumerate(asked):
        for names in (["billing"], ["7"], ["billing", "--alias", "7"]):
            found = run("filter", *names, "--job", str(job), "-o", "json", *at).json
            assert (found["datacenter"], found["app"], found["aliases"]) == (answer.datacenter, "billing", ["7"])
    result = run("filter", "7", *at)
    assert result.out.startswith("dc")
    assert "Asked as the scheduler asks: application billing, alias 7" in result.err


def test_a_question_does_not_say_how_the_scheduler_asks(run: Run, sidecar: Sidecar) -> None:
    """Only requests that dispatch are remembered: `filter --alias` changes no later answer."""
    sidecar.serve("default: dc1")
    at = ("--sidecar", sidecar.address, "--timeout", "20s", "--candidates", "dc1=1", "-o", "json")
    run("filter", "other", "--alias", "billing", *at)
    assert run("filter", "billing", *at).json["app"] == "billing"
