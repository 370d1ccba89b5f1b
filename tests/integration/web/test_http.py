"""The real sidecar asked over HTTP."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_metrics

from sidecar.web.auth import HEADERS
from tests.harness import SidecarProcess, a_request
from tests.schemas import complaint
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

DOCUMENT = """\
meta: {by: lin, reason: move, ticket: OPS-7}
default: {active: dc1, backups: [dc2]}
apps: {billing: {split: {dc1: 90, dc2: 10}}, reports: dc2}
"""


class Site:
    """A sidecar that serves HTTP, and its document."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.document = folder / "routing.yaml"
        self.document.write_text(DOCUMENT)
        self.port = free_port()
        self.sidecar = SidecarProcess(
            f"file:{self.document}", "--http", f"{LOOPBACK}:{self.port}", *arguments, folder=folder
        )

    def get(self, path: str, timeout: float = 10, **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(LOOPBACK, self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.get(path)[1])

    def metric(self, name: str, **labels: str) -> float | None:
        for family in read_metrics(self.get("/metrics")[1].decode()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a sidecar that serves HTTP and a document."""
    site = Site(tmp_path)
    with site.sidecar:
        yield site


def test_every_decision_is_counted(site: Site) -> None:
    """Repeated and new requests count once each, by application, datacenter and reason; and as calls of gRPC."""
    for _ in range(5):
        site.sidecar.filter(a_request("reports"))
    site.sidecar.filter(a_request("made-up"))
    assert site.metric("dc_sidecar_decisions_total", app="reports", datacenter="dc2", reason="ACTIVE") == 5
    assert site.metric("dc_sidecar_decisions_total", app="other", datacenter="dc1", reason="ACTIVE") == 1
    assert site.metric("dc_sidecar_decisions_total", app="made-up") is None
    for name in ("grpc_server_started_total", "grpc_server_handled_total", "grpc_server_handling_seconds_count"):
        assert site.metric(name, grpc_method="FilterWorkers") == 6


def test_both_formats_can_be_read(site: Site) -> None:
    """Prometheus' text and OpenMetrics, by what the scraper accepts; the latter ends as it must."""
    response, text = site.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert "openmetrics" in response.headers["Content-Type"]
    names = {family.name for family in read_openmetrics(text.decode())}  # type: ignore[no-untyped-call]
    assert {"dc_sidecar_decisions", "grpc_server_handling_seconds", "dc_sidecar_build", "process_cpu_seconds"} <= names
    assert text.endswith(b"# EOF\n")
    assert site.metric("dc_sidecar_source_state", state="SYNCED") == 1


def test_readiness_names_what_fails(tmp_path: Path) -> None:
    """Without a document it is alive and not ready, says why, and routes are not to be had; metrics and status are."""
    site = Site(tmp_path)
    site.document.unlink()
    with SidecarProcess(
        f"file:{site.document}", "--http", f"{LOOPBACK}:{site.port}", folder=tmp_path, wait_for_document=False
    ):
        assert site.get("/healthz")[0].status == 200
        eventually(lambda: b"MISSING" in site.get("/readyz")[1], "the first read")
        response, body = site.get("/readyz")
        assert response.status == 503
        assert "MISSING" in json.loads(body)["failing"]["document"]
        assert site.get("/v1/routes")[0].status == 503
        assert site.json("/v1/status")["source"]["state"] == "MISSING"
        assert site.metric("dc_sidecar_ready") == 0
        site.document.write_text(DOCUMENT)
        eventually(lambda: site.get("/readyz")[0].status == 200, "readiness")


def test_it_names_itself_its_environment_and_its_source(tmp_path: Path) -> None:
    """Status has host, environment and source; the document's metric has the last two, for alerts by fleet."""
    site = Site(tmp_path, "--environment", "staging")
    with site.sidecar:
        status = site.json("/v1/status")
        source = f"file:{site.document}"
        assert (status["host"], status["environment"], status["source"]["url"]) == (
            socket.gethostname(),
            "staging",
            source,
        )
        labels = {"revision": status["revision"], "environment": "staging", "source": source}
        assert site.metric("dc_sidecar_document_info", **labels) == 1


def test_routes_can_be_followed(site: Site) -> None:
    """With its ETag a client waits for a change, gets it at once, and a 304 where there is none."""
    etag = site.get("/v1/routes")[0].headers["ETag"]
    assert site.get("/v1/routes", If_None_Match=etag)[0].status == 304
    began = time.monotonic()
    assert site.get("/v1/routes?wait=0.3s", If_None_Match=etag)[0].status == 304
    assert time.monotonic() - began >= 0.3
    threading.Timer(0.2, lambda: site.document.write_text(DOCUMENT.replace("reports: dc2", "reports: dc1"))).start()
    response, body = site.get("/v1/routes/reports?wait=30s", timeout=40, If_None_Match=etag)
    assert response.status == 200
    assert time.monotonic() - began < 10
    assert json.loads(body)["shares"] == {"dc1": 1.0}
    assert response.headers["ETag"] != etag


@pytest.mark.timed
def test_events_tell_a_change(site: Site) -> None:
    """A follower hears the status at once and again within a second of an edit."""
    connection = HTTPConnection(LOOPBACK, site.port, timeout=10)
    connection.request("GET", "/v1/events")
    lines = iter(connection.getresponse().readline, b"")

    def until(revision: str | None) -> dict[str, Any]:
        for line in lines:
            if line.startswith(b"data: "):
                found: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                if "source" in found and found["revision"] != revision:
                    return found
        raise AssertionError("the events ended")

    first = until(None)
    assert first["meta"] == {"by": "lin", "reason": "move", "ticket": "OPS-7"}
    began = time.monotonic()
    site.document.write_text("dc2")
    until(first["revision"])
    assert time.monotonic() - began < 2
    connection.close()


def test_a_refused_document_is_shown(site: Site) -> None:
    """Status reports the problem with its line; metrics and changes count and show it; the routes stay."""
    before = site.json("/v1/routes")
    site.document.write_text(DOCUMENT.replace("backups:", "backup:"))
    refusal = eventually(lambda: site.json("/v1/status")["refusal"], "the refusal")
    assert "did you mean" in refusal["problems"][0]["message"]
    assert [line["number"] for line in refusal["problems"][0]["excerpt"] if line["marked"]] == [2]
    assert site.metric("dc_sidecar_document_refused") == 1
    assert site.metric("dc_sidecar_documents_refused_total") == 1
    eventually(lambda: site.json("/v1/changes")["changes"][0]["events"][0]["kind"] == "refused", "the change")
    assert site.json("/v1/routes") == before


def test_changes_tell_who_and_why(site: Site) -> None:
    """The newest change comes first, with meta, words, what it moves, and the difference of the texts."""
    site.document.write_text(DOCUMENT.replace("reports: dc2", "reports: dc1").replace("by: lin", "by: wu"))
    eventually(lambda: len(site.json("/v1/changes")["changes"]) > 1, "the second change")
    changes = site.json("/v1/changes")["changes"]
    assert changes[0]["meta"]["by"] == "wu"
    assert changes[0]["words"] == ["reports: dc2 → dc1"]
    applied, moved = changes[0]["events"]
    assert applied["kind"] == "applied"
    assert (moved["kind"], moved["words"], moved["subjects"], moved["total"]) == ("switch", "dc2 → dc1", ["reports"], 1)
    assert any(line.startswith("+apps:") for line in changes[0]["difference"])


def test_what_if_answers_as_a_call_does(site: Site) -> None:
    """The what-if box and FilterWorkers decide alike; what cannot be read is a 400 with the expected form."""
    for job in map(str, range(20)):
        answer = site.sidecar.filter(a_request("billing", job))
        found = site.json(f"/v1/explain?app=billing&job={job}&candidates=dc1=2,dc2=2,dc3=2")
        assert found["decision"]["datacenter"] == answer.datacenter
    response, body = site.get("/v1/explain?app=billing&candidates=dc1")
    assert response.status == 400
    assert "expected counts" in json.loads(body)["error"]


def test_history_outlives_the_process(tmp_path: Path) -> None:
    """The audit is returned with who, why and difference, the newest first, by application, time and number."""
    site = Site(tmp_path, "--state-dir", str(tmp_path / "state"))
    with site.sidecar:
        eventually(lambda: site.json("/v1/history")["changes"], "the first record")
    site.document.write_text(DOCUMENT.replace("reports: dc2", "reports: dc1").replace("by: lin", "by: wu"))
    with SidecarProcess(
        f"file:{site.document}",
        *("--http", f"{LOOPBACK}:{site.port}", "--state-dir", str(tmp_path / "state")),
        folder=tmp_path,
    ):
        eventually(lambda: len(site.json("/v1/history")["changes"]) == 2, "the second record")
        newest, first = site.json("/v1/history")["changes"]
        assert newest["meta"] == {"by": "wu", "reason": "move", "ticket": "OPS-7"}
        assert [event["words"] for event in newest["events"] if event["kind"] == "switch"] == ["dc2 → dc1"]
        assert newest["before"] == first["changed"]
        assert any(line.startswith("+apps:") for line in newest["difference"])
        assert "text" not in newest
        recent = eventually(lambda: site.json("/v1/changes")["changes"], "the changes")
        assert [change["revision"] for change in recent] == [newest["revision"], first["revision"]]
        assert recent[1]["meta"]["by"] == "lin"
        assert site.json("/v1/history?app=reports") == {"changes": [newest], "more": False}
        assert site.json("/v1/history?app=billing&since=1h")["changes"] == []
        assert site.json("/v1/history?limit=1") == {"changes": [newest], "more": True}
        assert site.json(f"/v1/history?since={newest['at']}")["changes"] == [newest]
        assert site.json("/v1/history?since=2999-01-01T00:00:00Z")["changes"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=ten", "since=yesterday", "since="])
def test_history_says_what_it_expects(site: Site, query: str) -> None:
    """What cannot be asked is a 400 that names the parameter and the expected form."""
    response, body = site.get(f"/v1/history?{query}")
    assert response.status == 400
    assert re.match(r"(limit|since): found '.*', expected ", json.loads(body)["error"])


def test_without_an_audit_history_says_how_to_have_one(site: Site) -> None:
    """A sidecar without a state directory keeps no audit: 404, with the flag that turns it on."""
    response, body = site.get("/v1/history")
    assert response.status == 404
    assert "--state-dir" in json.loads(body)["error"]


def test_the_snapshot_is_watched(tmp_path: Path) -> None:
    """Metrics report when the snapshot was saved; and that it cannot be, once its folder is gone for a file."""
    state = tmp_path / "state"
    site = Site(tmp_path, "--state-dir", str(state))
    with site.sidecar:
        saved = eventually(lambda: site.metric("dc_sidecar_saved_timestamp_seconds", file="snapshot"), "the snapshot")
        assert saved is not None
        assert abs(saved - time.time()) < 60
        assert site.metric("dc_sidecar_save_failing", file="snapshot") == 0
        state.rename(tmp_path / "elsewhere")
        state.write_text("in the way")
        site.document.write_text("dc2")
        eventually(lambda: site.metric("dc_sidecar_save_failing", file="snapshot") == 1, "the failure")
        assert site.metric("dc_sidecar_save_failures_total", file="snapshot") == 1
        assert site.metric("dc_sidecar_saved_timestamp_seconds", file="snapshot") == saved
        state.unlink()
        site.document.write_text("dc1")
        eventually(lambda: site.metric("dc_sidecar_save_failing", file="snapshot") == 0, "the success")
        assert site.metric("dc_sidecar_task_failing", task="audit") is not None


def test_each_probe_is_watched(tmp_path: Path) -> None:
    """Metrics report for each health check whether it is up."""
    site = Site(tmp_path, "--probe-hosts", LOOPBACK)
    dead = free_port()
    site.document.write_text(
        "default: {active: dc1, backups: [dc2]}\n"
        f"datacenters: {{dc1: {{probes: [{{tcp: '{LOOPBACK}:{dead}'}}], interval: 1s, fall: 1}},"
        f" dc2: {{probes: [{{tcp: '{LOOPBACK}:{site.port}'}}], interval: 1s, fall: 1}}}}\n"
    )
    with site.sidecar:
        dc1 = {"datacenter": "dc1", "probe": f"tcp {LOOPBACK}:{dead}"}
        eventually(lambda: site.metric("dc_sidecar_probe_up", **dc1) == 0, "the verdict")
        assert site.metric("dc_sidecar_probe_up", datacenter="dc2") == 1


def test_the_description_describes(tmp_path: Path) -> None:
    """Every path that the OpenAPI description names answers as its schema says, and is guarded by headers."""
    site = Site(tmp_path, "--state-dir", str(tmp_path / "state"))
    query = {"/v1/explain": "?app=a&candidates=dc1=1", "/v1/decide": "?app=a&key=7"}
    with site.sidecar:
        site.document.write_text(DOCUMENT.replace("reports: dc2", "reports: dc1"))
        eventually(lambda: len(site.json("/v1/history")["changes"]) == 2, "the second change")
        site.document.write_text(DOCUMENT.replace("backups:", "backup:"))
        eventually(lambda: len(site.json("/v1/history")["changes"]) == 3, "the refusal")
        described = site.json("/openapi.json")
        for path in (*described["paths"], "/"):
            if path == "/v1/events":
                continue
            response, body = site.get(path.format(app="billing", datacenter="dc1") + query.get(path, ""))
            assert response.status == 200, path
            assert all(response.headers[name] == value for name, value in HEADERS.items())
            if path != "/" and response.headers["Content-Type"] == "application/json":
                content = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
                schema = {**content.get("schema", {}), "components": described["components"]}
                assert complaint(schema, json.loads(body)) == ""


def test_no_secret_is_told(tmp_path: Path) -> None:
    """The token stands in no answer, no metric, no refusal and no log."""
    token = tmp_path / "token"
    token.write_text("planted-s3cret")
    token.chmod(0o600)
    site = Site(tmp_path, "--http-token-file", str(token))
    with site.sidecar:
        for shown in ("Bearer planted-s3cret", "Bearer wrong", ""):
            for path in ("/", "/metrics", "/v1/status", "/v1/routes", "/v1/changes", "/v1/explain?app=", "/nowhere"):
                response, body = site.get(path, Authorization=shown)
                assert (response.status == 401) is (shown != "Bearer planted-s3cret")
                assert b"planted" not in body
                assert "planted" not in str(response.headers)
        assert site.get("/readyz")[0].status == 200
    assert "planted" not in site.sidecar.log_text()


@pytest.mark.timed
def test_answers_do_not_wait_for_the_clients_ack(site: Site) -> None:
    """Head and body come together on a connection that is kept open, also once the client delays its ACKs, by 40 ms."""
    connection = HTTPConnection(LOOPBACK, site.port, timeout=10)
    took = []
    for _ in range(40):
        began = time.perf_counter()
        connection.request("GET", "/readyz")
        connection.getresponse().read()
        took.append(time.perf_counter() - began)
    connection.close()
    assert min(took[20:]) < 0.03


@pytest.mark.timed
def test_it_ends_with_followers(site: Site) -> None:
    """SIGTERM ends the process in time though somebody follows events and somebody waits for a change."""
    etag = site.get("/v1/routes")[0].headers["ETag"]
    follower = HTTPConnection(LOOPBACK, site.port, timeout=20)
    follower.request("GET", "/v1/events")
    response = follower.getresponse()
    waiter = HTTPConnection(LOOPBACK, site.port, timeout=20)
    waiter.request("GET", "/v1/routes?wait=60", headers={"If-None-Match": etag})
    began = time.monotonic()
    assert site.sidecar.end() == 0
    assert time.monotonic() - began < 5
    response.read()
    follower.close()
    waiter.close()


def test_nothing_is_imported_without_it(tmp_path: Path) -> None:
    """A sidecar without --http has no HTTP server, and no library of one, in memory."""
    document = tmp_path / "routing.yaml"
    document.write_text(DOCUMENT)
    with SidecarProcess(f"file:{document}", folder=tmp_path) as sidecar:
        without = sidecar.rss
    with Site(tmp_path).sidecar as sidecar:
        assert sidecar.rss - without > 4 * 2**20
        assert sidecar.rss < 80 * 2**20
