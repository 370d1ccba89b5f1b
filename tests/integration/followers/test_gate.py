"""The gate, and the configurations of docs/followers/gate.md as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import psutil
import pytest

from sidecar.unanswered import HTTP
from tests.harness import a_request
from tests.integration.followers.conftest import DOCUMENT, DRILL, Followed
from tests.integration.followers.pages import ROOT, blocks
from tests.servers.maven import runtime_jars
from tests.servers.process import LOOPBACK, free_port
from tests.servers.redis.server import installed
from tests.waiting import eventually

PAGE = blocks("gate.md")
BIN = Path(sys.executable).parent


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    """Return the response to a request, and its body."""
    connection = HTTPConnection(address, timeout=40)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def active(followed: Followed | str, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run `dc-sidecar active`; return its exit code and what it printed."""
    http = followed if isinstance(followed, str) else followed.http
    done = subprocess.run(
        [BIN / "dc-sidecar", "active", *words],
        env={**os.environ, "DC_SIDECAR_HTTP": http, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_the_url_says_where_an_application_is_active(followed: Followed) -> None:
    """200 with the share where it has one, 503 with the reason where not; HEAD the same without the line."""
    response, line = ask(followed.http, "/v1/active/billing/dc1")
    assert (response.status, response.headers["X-Active"], response.headers["X-Share"]) == (200, "true", "0.9")
    assert line == "billing is active in dc1: 90 %\n"
    response, line = ask(followed.http, "/v1/active/reports/dc1")
    assert (response.status, response.headers["X-Active"], response.headers["X-Share"]) == (503, "false", "0")
    assert line == "reports is not active in dc1: it is active in dc2\n"
    response, line = ask(followed.http, "/v1/active/reports/dc1", "HEAD")
    assert (response.status, response.headers["X-Active"], line) == (503, "false", "")
    followed.write(DOCUMENT + DRILL)
    eventually(lambda: ask(followed.http, "/v1/active/billing/dc1")[0].status == 503, "the drill")
    assert ask(followed.http, "/v1/active/billing/dc1")[1] == (
        "billing is not active in dc1 (drill: Q4 drill): it is active in dc2\n"
    )


def test_a_key_is_active_where_filter_workers_sends_its_job(followed: Followed) -> None:
    """Of 40 keys each is active in the one datacenter of the decision for that job."""
    for number in range(40):
        chosen = followed.sidecar.filter(a_request("billing", str(number))).datacenter
        found = [ask(followed.http, f"/v1/active/billing/{name}?key={number}")[0] for name in ("dc1", "dc2")]
        assert [each.status == 200 for each in found] == [chosen == "dc1", chosen == "dc2"]
        assert {each.headers["X-Datacenter"] for each in found} == {chosen}


def test_an_answer_can_be_waited_for(followed: Followed) -> None:
    """With its ETag: a 304 after the wait, or the next answer at once; changes elsewhere are no answer."""
    etag = ask(followed.http, "/v1/active/reports/dc2")[0].headers["ETag"]
    assert ask(followed.http, "/v1/active/reports/dc2", If_None_Match=etag)[0].status == 304
    threading.Timer(0.1, followed.write, (DOCUMENT.replace("dc1: 90", "dc1: 80"),)).start()
    began = time.monotonic()
    assert ask(followed.http, "/v1/active/reports/dc2?wait=1s", If_None_Match=etag)[0].status == 304
    assert time.monotonic() - began >= 1
    threading.Timer(0.1, followed.write, (DOCUMENT.replace("reports: dc2", "reports: dc1"),)).start()
    response, _ = ask(followed.http, "/v1/active/reports/dc2?wait=30s", If_None_Match=etag)
    assert (response.status, response.headers["X-Active"]) == (503, "false")


@pytest.mark.parametrize(
    "path", ["/v1/active/billing/dc%201", f"/v1/active/{'a' * 257}/dc1", "/v1/active/a/dc1?wait=x"]
)
def test_what_cannot_be_is_refused(followed: Followed, path: str) -> None:
    """A name that no datacenter has, names that are too long, and a wait that is no time: 400, not 503."""
    assert ask(followed.http, path)[0].status == 400


def test_names_from_a_url_cannot_forge_lines(followed: Followed) -> None:
    """A line break in a name is shown escaped, in one line."""
    _, body = ask(followed.http, "/v1/active/reports/dc1?key=a%0D%0AX-Active:%20true")
    assert body == r"reports is not active in dc1 for a\r\nX-Active: true: it is served in dc2" + "\n"


def test_the_command_exits_with_the_answer(followed: Followed) -> None:
    """0 and 75, or the code that --else names; --key asks for that key."""
    assert active(followed, "billing", "--datacenter", "dc1") == (0, "billing is active in dc1: 90 %", "")
    assert active(followed, "reports", "--datacenter", "dc1")[0] == 75
    assert active(followed, "reports", env={"DC_SIDECAR_DATACENTER": "dc2"})[0] == 0
    assert active(followed, "reports", "--datacenter", "dc1", "--else", "3")[0] == 3
    codes = {active(followed, "billing", "--datacenter", name, "--key", "7")[0] for name in ("dc1", "dc2")}
    assert codes == {0, 75}


def test_the_command_becomes_another(followed: Followed) -> None:
    """Where it is active, with that command's flags and exit code; elsewhere nothing runs and nothing is printed."""
    here = ("reports", "--datacenter", "dc2", "--", "sh", "-c", "echo --help; exit 9")
    assert active(followed, *here) == (9, "--help", "")
    assert active(followed, "reports", "--datacenter", "dc1", *here[3:]) == (75, "", "")
    assert active(followed, *here[:4], "no-such-command")[0] == 127
    assert active(followed, *here[:4], "/")[0] == 126


def test_without_an_answer_the_caller_chooses() -> None:
    """6 by default; run and skip do as if it were active or not; wrong usage stays wrong usage."""
    nobody = f"{LOOPBACK}:{free_port()}"
    words = ("billing", "--datacenter", "dc1")
    code, _, error = active(nobody, *words)
    assert (code, error) == (6, f"Error: {nobody}: no sidecar answers there (Connection refused): {HTTP}")
    assert active(nobody, *words, "--when-away", "run", "--", "echo", "ran")[:2] == (0, "ran")
    assert active(nobody, *words, "--when-away", "skip", "--", "echo", "ran")[:2] == (75, "")
    assert active(nobody, *words, "--when-away", "no")[0] == 2
    assert active(nobody, "billing", "--when-away", "run")[0] == 2


def test_the_command_waits_through_a_restart(followed: Followed) -> None:
    """With --wait it runs once the datacenter becomes active, also where the sidecar was away in between."""
    words = [str(BIN / "dc-sidecar"), "active", "reports", "--datacenter", "dc1", "--wait", "--", "echo", "ran"]
    with subprocess.Popen(
        words, env={**os.environ, "DC_SIDECAR_HTTP": followed.http}, stdout=subprocess.PIPE, text=True
    ) as waiting:
        try:
            eventually(lambda: psutil.Process(waiting.pid).net_connections(), "the poll")
            followed.sidecar.kill()
            followed.sidecar.start()
            assert waiting.poll() is None
            followed.write(DOCUMENT.replace("reports: dc2", "reports: dc1"))
            assert waiting.communicate(timeout=30)[0] == "ran\n"
        finally:
            waiting.kill()


def test_a_token_is_sent(tmp_path: Path) -> None:
    """With --http-token-file as `serve` has it; a wrong one is wrong usage, also with --when-away."""
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    token.write_text("secret\n")
    wrong.write_text("other\n")
    followed = Followed(tmp_path, "--http-token-file", str(token))
    with followed.sidecar:
        words = ("reports", "--datacenter", "dc2", "--when-away", "run", "--http-token-file")
        assert active(followed, *words, str(token))[0] == 0
        code, _, error = active(followed, *words, str(wrong))
        assert code == 2
        assert "expected the token" in error
        assert active(followed, *words, str(tmp_path / "none"))[0] == 2


def _stubs(folder: Path, *names: str) -> Path:
    """Return a folder with dc-sidecar and with commands that print their name."""
    (folder / "bin").mkdir()
    (folder / "bin/dc-sidecar").symlink_to(BIN / "dc-sidecar")
    for name in names:
        stub = folder / "bin" / name
        stub.write_text(f"#!/bin/sh\necho {name} ran\n")
        stub.chmod(0o755)
    return folder / "bin"


def test_the_crontab_of_the_page(followed: Followed, tmp_path: Path) -> None:
    """Each of its lines runs its command where billing, or its key, is active, and only there."""
    lines = PAGE["crontab"].splitlines()
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    commands = [line.split(None, 5)[5] for line in lines if line and line.split("=", 1)[0] not in variables]
    names = [command.rsplit(" ", 1)[1] for command in commands]
    assert len(commands) == 2
    variables["PATH"] = f"{_stubs(tmp_path, *names)}:{variables['PATH']}"

    def ran(datacenter: str) -> list[str]:
        env = {**variables, "DC_SIDECAR_HTTP": followed.http, "DC_SIDECAR_DATACENTER": datacenter}
        return [
            subprocess.run(
                ["sh", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=False
            ).stdout
            for command in commands
        ]

    assert variables["DC_SIDECAR_DATACENTER"] == "dc1"
    nightly, of_key = (f"{name} ran\n" for name in names)
    # The nightly run has no key, so both datacenters of the split have it; the other has one.
    assert [ran(name)[0] for name in ("dc1", "dc2", "dc3")] == [nightly, nightly, ""]
    assert sorted(ran(name)[1] for name in ("dc1", "dc2", "dc3")) == ["", "", of_key]
    followed.write(DOCUMENT + DRILL)
    eventually(lambda: ran("dc1") == ["", ""], "the drill")
    assert ran("dc2") == [nightly, of_key]


def test_the_systemd_units_of_the_page(followed: Followed, tmp_path: Path) -> None:
    """They are valid, and the condition of the service exits with 0 where it is active, else with a code to skip by."""
    stubs = _stubs(tmp_path, "billing-nightly")
    units = tmp_path / "units"
    units.mkdir()
    for name in ("billing-nightly.service", "billing-nightly.timer"):
        (units / name).write_text(PAGE[name].replace("/usr/bin/", f"{stubs}/"))
    verify: Sequence[str | Path] = [installed("systemd-analyze"), "verify", *sorted(units.iterdir())]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "billing-nightly" in line] == []
    service = (units / "billing-nightly.service").read_text()
    condition = re.findall(r"^ExecCondition=(.*)$", service, re.MULTILINE)[0]
    variable = dict(re.findall(r"^Environment=(\w+)=(.*)$", service, re.MULTILINE))

    def code() -> int:
        env = {**os.environ, **variable, "DC_SIDECAR_HTTP": followed.http}
        return subprocess.run(condition.split(), env=env, capture_output=True, timeout=30, check=False).returncode

    assert code() == 0
    followed.write(DOCUMENT + DRILL)
    eventually(lambda: code() == 75, "the drill")
    followed.sidecar.kill()
    assert code() == 6


def test_the_keepalived_configuration_of_the_page(followed: Followed, tmp_path: Path) -> None:
    """The daemon accepts it, and its script fails where billing is not active, but not without an answer."""
    interface = next(name for name in psutil.net_if_addrs() if name != "lo")
    text = PAGE["keepalived.conf"].replace("/usr/bin/", f"{_stubs(tmp_path)}/").replace("eth0", interface)
    file = tmp_path / "keepalived.conf"
    file.write_text(text)
    check = [installed("keepalived"), "--config-test", "--use-file", str(file)]
    # It ends its process group.
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False, start_new_session=True)
    # A script below a folder that everybody can write to is not run; that of the page would be.
    said = [line for line in done.stderr.splitlines() if "script" not in line.lower()]
    assert said == []
    script = re.findall(r'script "(.*)"', text)[0]

    def code() -> int:
        env = {**os.environ, "DC_SIDECAR_HTTP": followed.http}
        return subprocess.run(script.split(), env=env, capture_output=True, timeout=30, check=False).returncode

    assert code() == 0
    followed.write(DOCUMENT + DRILL)
    eventually(lambda: code() == 75, "the drill")
    followed.sidecar.kill()
    assert code() == 0


def test_the_java_classes_of_the_page(followed: Followed, tmp_path: Path) -> None:
    """A Quartz job and a ShedLock task run where the application is active, and nowhere else."""
    jars = runtime_jars(ROOT / "tests/servers/gate/pom.xml")
    sources = tmp_path / "java"
    sources.mkdir()
    for name, text in PAGE.items():
        if name.endswith(".java"):
            (sources / name).write_text(text)
    shutil.copy(Path(__file__).parent / "java/Runs.java", sources)
    path = f"{jars}/*:{tmp_path}/classes"
    compiling = ["javac", "-proc:none", "-Xlint:all", "-cp", f"{jars}/*", "-d", f"{tmp_path}/classes"]
    done = subprocess.run(
        [*compiling, *sorted(sources.iterdir())], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    urls = [
        f"http://{address}/v1/active/reports/{name}"
        for address, name in ((followed.http, "dc2"), (followed.http, "dc1"), (f"{LOOPBACK}:{free_port()}", "dc2"))
    ]
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", path, "Runs", *urls],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout.splitlines(), done.returncode) == (["true true", "false false", "false false"], 0), done.stderr
