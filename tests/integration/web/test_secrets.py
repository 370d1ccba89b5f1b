"""Secrets that are planted wherever one may be given, and looked for in all that a sidecar says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.harness import SidecarProcess
from tests.servers.process import LOOPBACK, free_port
from tests.unit.reactions.receiver import Receiver
from tests.waiting import eventually

PLANTED = "planted-s3cret"
DOCUMENT = "meta: {by: lin}\ndefault: {active: dc1, backups: [dc2]}\n"


def planted(folder: Path, name: str) -> str:
    """Return a file with a secret of its own."""
    path = folder / name
    path.write_text(f"{PLANTED}-{name}")
    path.chmod(0o600)
    return str(path)


def sources(folder: Path) -> Mapping[str, tuple[str, tuple[str, ...], dict[str, str]]]:
    """Return URLs, flags and variables of config centers that are not there, with secrets in variables and in files."""
    nacos, zookeeper = (f"{LOOPBACK}:{free_port()}" for _ in range(2))
    key = f"nacos://{nacos}/DEFAULT_GROUP/dc-routing"
    return {
        "nacos by variable": (key, ("--nacos-username", "lin"), {"DC_SIDECAR_NACOS_PASSWORD": f"{PLANTED}-variable"}),
        "nacos by file": (
            key,
            ("--nacos-access-key", "lin", "--nacos-secret-key-file", planted(folder, "nacos-secret-key")),
            {},
        ),
        "zookeeper by variable": (
            f"zookeeper://{zookeeper}/routing",
            ("--zookeeper-username", "lin"),
            {"DC_SIDECAR_ZOOKEEPER_PASSWORD": f"{PLANTED}-variable"},
        ),
        "zookeeper by file": (
            f"zookeeper://{zookeeper}/routing",
            ("--zookeeper-username", "lin", "--zookeeper-password-file", planted(folder, "zookeeper-password")),
            {},
        ),
    }


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `dc-sidecar` to its end."""
    command = [sys.executable, "-m", "sidecar", *arguments]
    env = {**os.environ, **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", ["nacos by variable", "nacos by file", "zookeeper by variable", "zookeeper by file"])
def test_a_running_sidecar_tells_no_secret(tmp_path: Path, name: str) -> None:
    """Answers over HTTP and gRPC, `config show`, the state directory and a log at debug level are free of them."""
    url, flags, variables = sources(tmp_path)[name]
    document, port = tmp_path / "override.yaml", free_port()
    document.write_text(DOCUMENT)
    with Receiver(lambda _: (500, b"")) as receiver:
        webhook = tmp_path / "webhook"
        webhook.write_text(f"{receiver.url}/{PLANTED}-webhook")
        reaction = {"name": "chat", "webhook-file": str(webhook), "on": ["switch", "applied", "override"]}
        reaction |= {"secret-file": planted(tmp_path, "signature")}
        configuration = tmp_path / "sidecar.yaml"
        configuration.write_text(json.dumps({"reactions": [reaction], "log-level": "debug"}))
        arguments = (
            *("--config", str(configuration), "--override", str(document), *flags),
            *("--http", f"{LOOPBACK}:{port}", "--http-token-file", planted(tmp_path, "token")),
            *("--state-dir", str(tmp_path / "state")),
        )
        with SidecarProcess(url, *arguments, folder=tmp_path, env=variables, within=60) as sidecar:
            document.write_text("dc2")
            eventually(lambda: receiver.bodies, "a delivery that is refused", within=30)
            said = [str(sidecar.status())]
            for shown in (f"{PLANTED}-token", f"{PLANTED}-wrong", ""):
                for path in ("/", "/metrics", "/v1/status", "/v1/routes", "/v1/history", "/v1/changes", "/v1/rates"):
                    said += [answer(port, path + query, shown) for query in ("", "?since=yesterday")]
            assert any('dc_sidecar_task_failing{task="reaction chat"}' in text for text in said)
            assert any("override-started" in text for text in said)
            shown_configs = [
                run("config", "show", "--source", url, *arguments, *o, **variables) for o in ((), ("-o", "json"))
            ]
            assert [done.returncode for done in shown_configs] == [0, 0], shown_configs[0].stderr
            said += [text for done in shown_configs for text in (done.stdout, done.stderr)]
            assert sidecar.end() == 0
    said.append(sidecar.log_text())
    said += [path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert [text for text in said if PLANTED in text] == []


def answer(port: int, path: str, token: str) -> str:
    """Return all that is answered to a request that shows a token."""
    connection = HTTPConnection(LOOPBACK, port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return f"{response.status} {response.headers} {response.read().decode()}"
    finally:
        connection.close()


MISTAKES: Mapping[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "a password in the URL of Nacos": (("--source", f"nacos://lin:{PLANTED}@127.0.0.1:1/g/d"), {}),
    "a password in the URL of ZooKeeper": (("--source", f"zookeeper://lin:{PLANTED}@127.0.0.1:1/d"), {}),
    "a password without a user": (
        ("--source", "zookeeper://127.0.0.1:1/d"),
        {"DC_SIDECAR_ZOOKEEPER_PASSWORD": PLANTED},
    ),
    "a password twice": (
        ("--source", "nacos://127.0.0.1:1/g/d", "--nacos-username", "lin", "--nacos-password-file", "/nowhere"),
        {"DC_SIDECAR_NACOS_PASSWORD": PLANTED},
    ),
    "a password as a flag": (("--source", "nacos://127.0.0.1:1/g/d", f"--nacos-password={PLANTED}"), {}),
    "a password in the URL of the database": (
        ("--source", "file:/nowhere", "--state-dir", "/nowhere", "--audit-db", f"postgresql://lin:{PLANTED}@db/audit"),
        {},
    ),
    "a webhook that is none": (
        ("--source", "file:/nowhere"),
        {"DC_SIDECAR_REACTIONS": json.dumps([{"name": "chat", "webhook": f"htps://chat/{PLANTED}"}])},
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refused_configuration_tells_no_secret(mistake: str) -> None:
    """`serve` says what is wrong with a configuration, and ends, without repeating a secret of it."""
    flags, variables = MISTAKES[mistake]
    done = run("serve", "--listen", f"{LOOPBACK}:0", *flags, **variables)
    assert done.returncode not in {0, 1}
    assert done.stderr
    assert PLANTED not in done.stdout + done.stderr
