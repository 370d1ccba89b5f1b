"""The chart's default memory limit holds what its values say."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.attack import texts
from tests.attack.chart import size
from tests.attack.memory_group import make_group
from tests.attack.sidecar import AttackedSidecar
from tests.deploy.helm import one, render
from tests.harness import Client
from tests.waiting import eventually

_ROUTE = "{{split: {{dc1: {0}, dc2: {1}}}, backups: [dc3], min_workers: 2}}"


def _serves(client: Client, revision: str) -> bool:
    return client.status().revision == revision


def _limit(folder: Path, **values: object) -> int:
    """Return the chart's memory limit for a source that is a file, in bytes."""
    rendered = render({"source": {"configMap": {"document": "default: {active: dc1}\n"}}, **values}, folder=folder)
    pod: dict[str, Any] = one(rendered, "Deployment")["spec"]["template"]["spec"]
    return size(pod["containers"][0]["resources"]["limits"]["memory"])


def test_attacks_of_large_documents_get_no_more_than_the_chart_gives(tmp_path: Path) -> None:
    """Their limit is the chart's default, without what it adds for HTTP."""
    assert _limit(tmp_path) == texts.LARGE


@pytest.mark.parametrize("applications", [1000, 10_000])
def test_the_limit_holds_as_many_applications_as_the_chart_says(applications: int, tmp_path: Path) -> None:
    """The sidecar outlives changes of all of them, and a tenth of the limit stays free."""
    limit = _limit(tmp_path, applications=applications)
    group = make_group(limit)
    sidecar = AttackedSidecar(tmp_path, group, memory=limit)
    sidecar.document.write_text(texts.document(), encoding="utf-8")
    try:
        with sidecar, Client(sidecar.target, within=20) as client:
            for number in range(4):
                route = _ROUTE.format(90 - number, 10 + number)
                text = texts.document(texts.many_apps(applications, route))
                beside = sidecar.document.with_suffix(".new")
                beside.write_text(text, encoding="utf-8")
                beside.rename(sidecar.document)
                revision = texts.revision(text)
                eventually(partial(_serves, client, revision), "the changed document in force", within=60)
                request = pb.FilterWorkersRequest(app="app-00001", job="1", candidates=texts.workers(["dc1", "dc2"]))
                assert client.filter(request).datacenter in ("dc1", "dc2")
            assert not sidecar.died, "killed at the limit that the chart sets"
        assert sidecar.peak_used < 0.9 * limit, f"{sidecar.peak_used >> 20} of {limit >> 20} MiB"
    finally:
        sidecar.kill()
        group.remove()
