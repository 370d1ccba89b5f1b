"""The operator's verbs on every config center: a real file, a real ZooKeeper, Apollo, a real Nacos 3."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.model import Active
from sidecar.sources.nacos.address import client_address
from tests.harness import SidecarProcess
from tests.integration.cli.commands import SETTINGS, Terminal, begin, run
from tests.servers.apollo.server import ApolloServer, portal_options
from tests.servers.apollo.server import source_url as apollo_url
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.process import free_port
from tests.servers.zookeeper.server import ZooKeeperServer
from tests.waiting import eventually

_numbers = itertools.count(1)


@pytest.fixture(
    params=[
        "file",
        pytest.param("zookeeper", marks=pytest.mark.zookeeper),
        pytest.param("apollo", marks=pytest.mark.apollo),
        pytest.param("nacos3", marks=pytest.mark.nacos),
    ]
)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a key that nobody has written yet."""
    name = f"operators-{next(_numbers)}"
    match request.param:
        case "file":
            return f"file:{tmp_path / name}"
        case "zookeeper":
            zookeeper: ZooKeeperServer = request.getfixturevalue("zookeeper")
            return f"zookeeper://{zookeeper.address}/{name}"
        case "apollo":
            apollo: ApolloServer = request.getfixturevalue("apollo")
            apollo.operator.settle("namespace", name=f"dispatch+default+{name}.yaml")
            for option, value in portal_options(apollo).items():
                monkeypatch.setitem(SETTINGS, f"DC_SIDECAR_{option.upper().replace('-', '_')}", value)
            return apollo_url(apollo, namespace=f"{name}.yaml")
        case version:
            nacos: NacosServer = request.getfixturevalue(version)
            return source_url([nacos], name)


def test_the_verbs_work_on_every_config_center(url: str, tmp_path: Path) -> None:
    """First document, changes, a drill, a way back; a sidecar on the same key follows each within the time to wait."""
    relaxed = ("--source", url, "--yes", "--hold-off", "0")
    assert run("get", "--source", url).returncode == 3
    assert run("init", "dc1", "dc2", *relaxed).returncode == 0
    assert run("init", "dc1", *relaxed).returncode == 3
    with SidecarProcess(url, folder=tmp_path, within=60) as sidecar:
        waiting = ("--wait", "30", "--sidecar", sidecar.address)
        for verb in (
            ("switch", "billing", "dc2", "--reason", "hot", "--new"),
            ("shift", "billing", "dc1=1", "dc2=3"),
            ("ramp", "reports", "--to", "dc2", "--over", "2h", "--new"),
            ("pin", "billing", "1001", "dc1"),
            ("drill", "start", "dc1", "--for", "30m"),
            ("drill", "stop"),
            ("mark", "dc2", "down"),
        ):
            done = run(*verb, *relaxed, *waiting)
            assert done.returncode == 0, (verb, done.stdout, done.stderr)
    text = run("get", "--source", url).stdout
    assert text.startswith("# Where the scheduler's jobs run.")
    told = json.loads(run("get", "--source", url, "-o", "json").stdout)
    assert (told["revision"], told["text"]) == (revision_of(text.encode()), text)
    file = tmp_path / "old.yaml"
    file.write_text("dc1\n")
    assert run("put", str(file), "--expect", told["revision"], *relaxed).returncode == 0
    assert run("get", "--source", url).stdout == "dc1\n"


def test_a_conflict_is_seen_on_every_config_center(url: str) -> None:
    """What somebody wrote between reading and writing is shown and kept, whatever the center calls a version."""
    source = ("--source", url, "--hold-off", "0")
    assert run("init", "dc1", "dc2", "--yes", *source).returncode == 0
    with Terminal("switch", "billing", "dc2", "--new", *source) as terminal:
        terminal.until(f"Write this to {url}")
        terminal.until("? [y/N]")
        assert run("switch", "reports", "dc2", "--new", "--yes", "--by", "kim", *source).returncode == 0
        theirs = run("get", "--source", url).stdout
        terminal.type("y\n")
        terminal.until("Conflict: the document was changed meanwhile")
        terminal.until("+  reports: dc2")
        terminal.until("Apply your change on top of it? [y/N]")
        terminal.type("n\n")
        assert terminal.end() == 4
    assert run("get", "--source", url).stdout == theirs


def test_some_operators_at_once_lose_nothing(url: str) -> None:
    """Of changes at the same time each is in the document or was refused with exit code 4."""
    source = ("--source", url, "--hold-off", "0")
    assert run("init", "dc1", "dc2", "--yes", *source).returncode == 0
    apps = [f"app-{number}" for number in range(5)]
    commands = {app: begin("switch", app, "dc2", "--new", "--yes", "--redo", "2", *source) for app in apps}
    results = {app: (command.communicate(timeout=120)[1], command.returncode) for app, command in commands.items()}
    document = parse_document(run("get", "--source", url).stdout.encode())
    for app, (said, code) in results.items():
        assert code in (0, 4), said
        assert (document.route(app).selector == Active("dc2")) == (code == 0), app
    assert 0 in {code for _, code in results.values()}


@pytest.mark.parametrize("scheme", ["zookeeper", "nacos", "apollo"])
def test_a_config_center_that_is_away_is_told_apart(scheme: str) -> None:
    """Nobody there is exit code 6, within the time given, and nothing else is said to have happened."""
    path = {"zookeeper": "routing", "nacos": "dispatch/routing", "apollo": "dispatch/default/routing.yaml"}[scheme]
    url = f"{scheme}://127.0.0.1:{free_port()}/{path}"
    result = run("switch", "billing", "dc2", "--yes", "--source", url, "--timeout", "3s")
    assert result.returncode == 6
    assert result.stderr.startswith("Error: ")


@pytest.mark.nacos
@pytest.mark.parametrize("version", ["nacos", "nacos3"])
def test_a_rollback_takes_the_document_before_from_nacos(version: str, request: pytest.FixtureRequest) -> None:
    """What the console or a command wrote before is written again, with the rollback's own `meta`, and back again."""
    nacos: NacosServer = request.getfixturevalue(version)
    key = f"operators-{next(_numbers)}"
    source = ("--source", source_url([nacos], key), "--hold-off", "0")
    nacos.operator.publish(key, "# first\ndefault: dc1\n")
    eventually(lambda: run("get", *source[:2]).returncode == 0, "the first document", within=30, every=0.5)
    assert run("switch", "--default", "dc2", "--yes", *source).returncode == 0
    listed = json.loads(run("rollback", "--list", "-o", "json", *source).stdout)
    assert len(listed) == 2
    done = run("rollback", "--yes", "--by", "lin", *source)
    assert done.returncode == 0, done.stderr
    assert "every other application: all jobs dc2 → dc1" in done.stdout
    text = run("get", *source[:2]).stdout
    assert text.startswith("# first\nmeta: {by: lin, at: ")
    assert f"reason: rollback to {listed[1]['revision']}" in text
    assert run("rollback", listed[0]["revision"][:6], "--yes", *source).returncode == 0
    assert "default: dc2" in run("get", *source[:2]).stdout
    assert run("rollback", "ffffffffffff", "--yes", *source).returncode == 3


@pytest.mark.nacos
def test_under_a_gray_version_the_commands_work_on_the_ordinary_one(nacos3: NacosServer, tmp_path: Path) -> None:
    """`switch` and `rollback` write the ordinary version and say who does not get it; `status` shows the gray."""
    key = f"operators-{next(_numbers)}"
    url = source_url([nacos3], key)
    source = ("--source", url, "--hold-off", "0")
    nacos3.operator.publish(key, "default: dc1\napps: {billing: dc1}\n")
    nacos3.operator.publish(key, "default: dc3\n", gray_for=f"{client_address()},127.0.0.1")
    with SidecarProcess(url, folder=tmp_path, within=60) as sidecar:
        done = run("switch", "billing", "dc2", "--yes", *source)
        assert done.returncode == 0, done.stderr
        said = " ".join(done.stdout.split())
        assert f"Note: a gray version (beta) is in force for {client_address()}, 127.0.0.1: this changes the" in said
        assert "billing: all jobs dc1 → dc2" in said
        assert "billing: dc2" in nacos3.operator.stored(key)["content"]
        assert run("get", "--source", url).stdout == nacos3.operator.stored(key)["content"]
        assert run("rollback", "--yes", *source).returncode == 0
        assert "billing: dc1" in nacos3.operator.stored(key)["content"]
        shown = run("status", "--sidecar", sidecar.address)
        assert f"beta for {client_address()}, 127.0.0.1, since " in shown.stdout
        waited = run("switch", "billing", "dc2", "--yes", "--wait", "1", "--sidecar", sidecar.address, *source)
        assert waited.returncode == 5
        assert "a gray version (beta)" in waited.stdout
        nacos3.operator.end_gray(key)
        eventually(lambda: not sidecar.status().HasField("gray"), "the end of the gray version", within=30)
