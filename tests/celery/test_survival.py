"""What the tasks' publishers and workers survive: lost workers, a lost sidecar, a lost broker."""

from __future__ import annotations

from collections import Counter

import pytest
from kombu.exceptions import OperationalError

from tests.celery.site import CelerySite
from tests.servers.process import ServerProcess
from tests.waiting import eventually

DC1 = "default: {active: dc1, backups: [dc2, dc3]}\n"


def test_without_the_sidecar_tasks_stay_in_their_datacenter(site: CelerySite) -> None:
    """Killed between two tasks, it changes nothing for further ones; a switch after its restart is followed."""
    site.route("default: {active: dc2, backups: [dc1]}\n")
    site.send("shop.note")
    site.sidecar.kill()
    before = site.routing.router.log.episodes
    tasks = site.send("shop.note", count=20)
    assert site.places(tasks) == {"dc2": 20}
    assert site.routing.router.log.episodes == before + 1
    site.sidecar.start()
    site.route(DC1)
    eventually(lambda: not site.routing.router.log.ongoing, "the episode ends", within=30)
    assert site.places(site.send("shop.note", count=10)) == {"dc1": 10}


def test_when_a_datacenters_workers_die_new_tasks_go_elsewhere(site: CelerySite) -> None:
    """Killed with tasks running and queued, they are not live after some seconds, without an edit."""
    site.route(DC1)
    site.close_gate()
    worker = site.workers["dc1-a"]
    site.ran(site.send("shop.gated", count=2))
    site.send("shop.note", count=5)
    worker.kill()
    try:
        site.wait_until_live("dc2-a", "dc3-a")
        assert site.places(site.send("shop.note", count=10)) == {"dc2": 10}
    finally:
        site.open_gate()
        worker.start()
        site.wait_until_live(*site.workers)


def test_a_restarted_broker_has_all_tasks(site: CelerySite) -> None:
    """Killed with tasks queued, it has them after its restart, and workers and publishers are back by themselves."""
    broker = site.broker
    assert isinstance(broker, ServerProcess)
    site.route("default: dc4\n")
    waiting = site.send("shop.note", count=20)
    assert site.routing.router.view is not None
    broker.kill()
    try:
        with pytest.raises(OperationalError):
            site.send("shop.note", retry=False)
    finally:
        broker.start()
    site.route(DC1)
    site.wait_until_live(*site.workers)
    assert site.places(site.send("shop.note", count=20)) == {"dc1": 20}
    assert site.take("work.dc4") == Counter(waiting)
