"""Dashboard and alerts ask for metrics that there are, alerts do what they say, and each has its runbook entry."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from sidecar.atomic_file import SaveStatus
from sidecar.counters import CallStats
from sidecar.followers.registry import Follower, FollowerKind
from sidecar.followers.xds_clients import EndpointsStatus, Subscription, XdsClient, XdsClients
from sidecar.routing.document import parse_document
from sidecar.sources.base import Content
from sidecar.table import RoutingTable
from sidecar.web.metrics import DocumentMetrics, Metrics
from sidecar.web.page_data import PageData
from sidecar.web.status import Identity

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
# Replaced by the chart, and by a release; `.example` is nobody's domain.
RUNBOOK = "https://dc-sidecar.example/operations/"
ENDPOINTS = EndpointsStatus(file="endpoints.yaml", revision="e1", applications=1, endpoints=2, problem="")
IDENTITY = Identity(source="file:/etc/dc-sidecar/routing.yaml", environment="prod", host="sidecar-1")
ENVOY = XdsClient(
    node="edge-1",
    cluster="edge",
    agent="envoy 1.40.0",
    address="ipv4:127.0.0.1:1",
    protocol="sotw",
    connected=True,
    since_ns=1,
    seen_ns=1,
    subscriptions=(Subscription(type="RDS", names=("a",), count=1),),
)
NAME = re.compile(r"\b(?:dc_sidecar|grpc_server|process)_[a-z_]+")


def _rules() -> list[dict[str, str]]:
    rules: list[dict[str, str]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return rules


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    """Return the names of all samples of a sidecar that has all there is to have."""
    table, stats = RoutingTable(parse=parse_document), CallStats()
    document = (
        b'{default: {ramp: {from: a, to: b, start: "2020-01-01T00:00:00Z", duration: 1h}}, '
        b'drills: [{datacenter: a, until: "2999-01-01T00:00:00Z"}]}'
    )
    table.deliver(Content(document, "1"))
    table.start()
    table.stop()
    stats.decisions.increment("other", "b", "SPLIT")()
    stats.method("/pkg.Service/FilterWorkers", "unary").answered(0.0)
    page_data = PageData(
        probes=lambda: [("a", "tcp a:1", True)],
        savers=[lambda: SaveStatus("snapshot", saved_ns=1)],
        followers=lambda: [Follower(FollowerKind.XDS, "edge-1", "RDS a", "v1", time.time_ns())],
        xds_clients=XdsClients(lambda: [ENVOY], lambda: [(("RDS", "sent"), 1)], lambda: ENDPOINTS),
    )
    text = Metrics(table, stats, DocumentMetrics(), page_data, IDENTITY).render("")[0].decode()
    described = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    return described | set(re.findall(r"^([a-z_]+)[{ ]", text, re.MULTILINE))


def test_alerts_ask_for_metrics_that_there_are(metrics: set[str]) -> None:
    """No alert is silent because of a misspelt name."""
    for rule in _rules():
        assert set(NAME.findall(rule["expr"])) <= metrics, rule["alert"]


def test_the_dashboard_asks_for_metrics_that_there_are(metrics: set[str]) -> None:
    """No panel is empty because of a misspelt name, and no panel hides another."""
    dashboard = json.loads((ROOT / "deploy/grafana/dc-sidecar.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert set(NAME.findall(target["expr"])) <= metrics, panel["title"]
    places = [(p["gridPos"]["x"] + x, p["gridPos"]["y"]) for p in dashboard["panels"] for x in range(p["gridPos"]["w"])]
    assert len(places) == len(set(places))


def test_metrics_are_described(metrics: set[str]) -> None:
    """Every metric of ours stands in docs/operations.md."""
    words = (ROOT / "docs/operations.md").read_text()
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in metrics if name.startswith("dc_sidecar")}
    assert not {name for name in families if name not in words}


def test_the_documentation_names_metrics_that_there_are(metrics: set[str]) -> None:
    """No page names a metric of ours that a sidecar does not have."""
    pages = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    families = {re.sub(r"_(bucket|count|sum|created|total)$", "", name) for name in metrics}
    named = {re.sub(r"_total$", "", name) for name in re.findall(r"`(dc_sidecar_[a-z_]+[a-z])[`{]", pages)}
    tables_of_the_audit_database = {"dc_sidecar_anchors", "dc_sidecar_changes", "dc_sidecar_sightings"}
    counter_of_the_powerjob_adapter = {"dc_sidecar_outages"}
    assert named - families <= tables_of_the_audit_database | counter_of_the_powerjob_adapter


def test_each_alert_has_its_runbook_entry() -> None:
    """The link of each alert leads to a heading, and no heading is left without its alert."""
    headings = re.findall(r"^### (DcSidecar\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in _rules()]
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}"


@pytest.mark.parametrize("command", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    """Prometheus' own tool reads the rules, and each alert is silent, then fires, as its test has it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if "CI" in os.environ:
            pytest.fail("no promtool: apt-get install prometheus")
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run([promtool, *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested() -> None:
    """There is a rule test for every alert."""
    tests = yaml.safe_load((ALERTS.parent / "alerts_test.yaml").read_text())["tests"]
    assert [test["name"] for test in tests] == [rule["alert"] for rule in _rules()]
