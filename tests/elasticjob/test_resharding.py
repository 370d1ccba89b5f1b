"""Shards of real jobs are in the datacenter that serves them: at a switch, a split, a drill, and when things break."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.client import RoutingClient, Worker
from tests.elasticjob.site import DC1, JOBS, ElasticSite
from tests.waiting import eventually

# The first test pays for the build and for what Maven fetches.
pytestmark = pytest.mark.timeout(1200)

DC2 = "default: {active: dc2, backups: [dc1]}\n"
DC3 = "default: dc3\n"
SHARDS = JOBS["settle"][0]
# ElasticJob reconciles each minute what it has missed.
RECONCILED = 150.0


def test_a_switch_moves_all_shards(site: ElasticSite) -> None:
    """They run in the new datacenter at the next trigger, spread over its instances, and the audit says so."""
    site.all_in("dc1")
    site.all_in("dc1", "report")
    site.sidecar.put(DC2)
    took = site.first_elsewhere("dc2", time.time() * 1000)
    print(f"first shard elsewhere {took:.1f} s after the switch")
    site.all_in("dc2")
    begun = time.time() * 1000
    eventually(lambda: len([run for run in site.runs() if run.at > begun]) >= 2 * SHARDS, "two rounds", within=20)
    rounds = Counter(run.worker for run in site.runs() if run.at > begun)
    assert set(rounds) == {"dc2-a", "dc2-b"}
    eventually(lambda: "2 jobs to reshard" in site.history(), "the audit's record", within=20, every=0.5)


def test_a_split_is_taken_over_the_shards(site: ElasticSite) -> None:
    """At 90:10 with `sticky: instance` each of 60 shards is where the sidecar says for it."""
    site.sidecar.put("apps: {billing: {split: {dc1: 90, dc2: 10}, sticky: instance}}\n")
    workers = [Worker(name, datacenter=name[:3]) for name in site.instances]
    with RoutingClient(site.listen, cache_size=0, timeout=10) as client:
        expected = [
            client.filter("billing", job="report", instance=f"report/{item}", candidates=workers).datacenter
            for item in range(JOBS["report"][0])
        ]
    assert 1 <= Counter(expected)["dc2"] <= 15
    site.wait_until_assigned("report", expected)
    begun = time.time() * 1000

    def ran() -> dict[int, str]:
        return {run.item: site.instances[run.worker].datacenter for run in site.runs("report") if run.at > begun}

    eventually(lambda: len(ran()) == len(expected), "a round", within=20)
    assert [ran()[item] for item in range(len(expected))] == expected


def test_a_drill_ends_by_itself(site: ElasticSite) -> None:
    """While it lasts the shards are in the first backup, after its end in the active datacenter, without an edit."""
    site.sidecar.put(DC1)
    site.all_in("dc1")
    until = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    site.sidecar.put(DC1 + f'drills: [{{datacenter: dc1, until: "{until}", reason: Q4 drill}}]\n')
    site.all_in("dc2", within=20)
    site.all_in("dc1", within=30)


def test_running_shards_end_where_they_are(site: ElasticSite) -> None:
    """A switch waits for them; with --running the others begin at once, and the running ones end where they are."""
    site.sidecar.put(DC1)
    site.all_in("dc1")
    site.hold("settle")
    try:
        held = time.time() * 1000
        eventually(lambda: site.runs() and site.runs()[-1].at > held, "shards begin", within=20)
        eventually(lambda: site.running("settle") == SHARDS, "all shards run", within=20)
        switched = time.time() * 1000
        site.sidecar.put(DC2)
        site.all_in("dc2", "report")
        asked = "/billing/settle/leader/sharding/necessary"
        eventually(lambda: site.client.exists(asked), "the reaction asks for new shards of this job too", within=20)
        assert site.assigned("settle") == ["dc1"] * SHARDS
        (job,) = json.loads(site.reshard("--job", "settle", "--running", "--yes", "-o", "json"))["jobs"]
        assert (len(job["shards"]), job["pending"], len(job["running"])) == (SHARDS, True, SHARDS)
        site.first_elsewhere("dc2", switched)
        assert [run for run in site.runs(event="end") if run.at >= switched] == []
    finally:
        site.release("settle")
    eventually(
        lambda: [run for run in site.runs(event="end") if run.at >= switched and run.worker == "dc1-a"],
        "the shards in dc1 end",
        within=20,
    )
    site.all_in("dc2")


def test_by_hand(site: ElasticSite) -> None:
    """The command shows misplaced shards, changes nothing in a dry run, and finds nothing when they are in place."""
    manual = ("--job", "manual")
    # No reaction looks after this job: on a busy machine its first sharding may have been without the sidecar.
    site.sidecar.put(DC1)
    site.reshard(*manual, "--yes")
    site.all_in("dc1", "manual")
    site.sidecar.put(DC3)
    assert "manual  4       4          dc3 4" in site.reshard(*manual, "--dry-run")
    assert not site.client.exists("/billing/manual/leader/sharding/necessary")
    assert site.reshard(*manual, "--yes").endswith("1 job will be resharded at the next trigger\n")
    site.all_in("dc3", "manual")
    assert site.reshard(*manual, "--yes") == ""


def test_without_the_sidecar_shards_stay(site: ElasticSite) -> None:
    """Killed, it moves none, also when an instance leaves meanwhile; a switch after its restart is followed."""
    site.sidecar.put(DC2)
    site.all_in("dc2")
    site.sidecar.kill()
    lost = site.instances["dc2-b"]
    lost.kill()
    try:
        eventually(
            lambda: len(site.client.get_children("/billing/settle/instances")) == 3, "it has left", within=30, every=0.1
        )
        site.all_in("dc2", within=RECONCILED)
    finally:
        site.sidecar.start()
        lost.start()
    site.sidecar.put(DC1)
    site.all_in("dc1")


def test_when_a_datacenter_dies_its_shards_go_to_the_backup(site: ElasticSite) -> None:
    """Without an edit, as soon as ElasticJob notices; they return with its instances."""
    site.sidecar.put(DC1)
    site.all_in("dc1")
    lost = site.instances["dc1-a"]
    lost.kill()
    try:
        site.all_in("dc2", within=RECONCILED)
    finally:
        lost.start()
    site.all_in("dc1")
