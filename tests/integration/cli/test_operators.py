"""Operators at work on one key: asked, in each other's way, killed, and told when the sidecars have it."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.model import Active
from tests.harness import SidecarProcess
from tests.integration.cli.commands import Terminal, begin, environment, run
from tests.servers.process import free_port
from tests.waiting import eventually

_TEXT = "# ours\ndefault: {active: dc1, backups: [dc2]}\napps:\n  billing: dc1\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file that is the key."""
    path = tmp_path / "routing.yaml"
    path.write_text(_TEXT)
    return path


def _source(key: Path) -> tuple[str, ...]:
    return ("--source", f"file:{key}", "--hold-off", "0")


def test_twenty_operators_at_once_lose_nothing(key: Path) -> None:
    """Of twenty changes at the same time each one is in the document or was refused with exit code 4, none is lost."""
    apps = [f"app-{number}" for number in range(20)]
    # Every other one does it again on top of what it finds, and so gets through.
    stubborn = ("--redo", "100")
    commands = {
        app: begin("switch", app, "dc2", "--new", "--yes", *_source(key), *(stubborn if index % 2 else ()))
        for index, app in enumerate(apps)
    }
    results = {app: (command.communicate(timeout=120), command.returncode) for app, command in commands.items()}
    document = parse_document(key.read_bytes())
    for index, (app, ((_, said), code)) in enumerate(results.items()):
        assert code in ((0,) if index % 2 else (0, 4)), said
        assert (document.route(app).selector == Active("dc2")) == (code == 0), app
    assert key.read_text().startswith("# ours\n")


_PUT = """
import sys
from sidecar.cli.main import main
while True:
    for file in sys.argv[2:]:
        main(["put", file, "--yes", "--source", "file:" + sys.argv[1], "--hold-off", "0"])
        print("put", flush=True)
"""


def test_a_killed_writer_leaves_a_whole_document(tmp_path: Path, key: Path) -> None:
    """Wherever kill -9 hits a writer, the key holds one of the two documents, whole, and the next writer gets on."""
    texts = []
    for name in ("dc1", "dc2"):
        path = tmp_path / f"{name}.yaml"
        path.write_text("apps:\n" + "".join(f"  application-{n}: {name}\n" for n in range(200)))
        texts.append(path)
    chance = random.Random(6)
    seen = set()
    for number in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", _PUT, str(key), *map(str, texts)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
        )
        assert writer.stdout is not None
        # In the midst of the third write, or of the fourth: it takes about as long as the one before.
        begun = written = time.monotonic()
        for _ in range(2 + number % 2):
            while writer.stdout.readline() != "put\n":
                assert writer.poll() is None
            begun, written = written, time.monotonic()
        time.sleep(chance.random() * (written - begun))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        seen.add(key.read_bytes())
    assert seen <= {path.read_bytes() for path in texts}
    assert len(seen) == 2
    assert run("put", str(texts[0]), "--yes", *_source(key)).returncode == 0


def test_the_question_is_asked_and_the_answer_taken(key: Path) -> None:
    """At a terminal the change is shown, then asked for; no means no, with exit code 0."""
    with Terminal("switch", "billing", "dc2", *_source(key)) as terminal:
        terminal.until("billing: all jobs dc1 → dc2")
        terminal.until("? [y/N]")
        terminal.type("n\n")
        terminal.until("Nothing was written.")
        assert terminal.end() == 0
    assert key.read_text() == _TEXT
    with Terminal("switch", "billing", "dc2", *_source(key)) as terminal:
        terminal.until("? [y/N]")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert "billing: dc2" in key.read_text()


@pytest.mark.parametrize("again", [True, False])
def test_somebody_elses_change_is_never_overwritten(key: Path, again: bool) -> None:
    """A change that came while the operator was thinking is shown; the own one is done on top of it, or not at all."""
    source = _source(key)[
        :2
    ]  # The other's change is fresh, but has been shown: the hold-off does not stand in the way.
    with Terminal("switch", "billing", "dc2", *source) as terminal:
        terminal.until("? [y/N]")
        assert (
            run(
                "switch", "reports", "dc2", "--new", "--yes", "--by", "kim", "--reason", "mine", *_source(key)
            ).returncode
            == 0
        )
        theirs = key.read_bytes()
        terminal.type("y\n")
        terminal.until("Conflict: the document was changed meanwhile")
        terminal.until("The other change (by kim, at ")
        terminal.until("+  reports: dc2")
        terminal.until("Apply your change on top of it? [y/N]")
        terminal.type("y\n" if again else "n\n")
        if again:
            terminal.until("? [y/N]")
            terminal.type("y\n")
        assert terminal.end() == (0 if again else 4)
    document = parse_document(key.read_bytes())
    assert document.route("reports").selector == Active("dc2")
    assert document.route("billing").selector == Active("dc2" if again else "dc1")
    assert again or key.read_bytes() == theirs


def test_a_rollback_takes_the_document_before_from_a_sidecars_record(tmp_path: Path, key: Path) -> None:
    """Where the config center remembers nothing, the record of a sidecar that follows it does."""
    state = ("--state-dir", str(tmp_path / "state"))
    assert run("rollback", "--yes", *_source(key)).returncode == 3
    with SidecarProcess(f"file:{key}", *state, folder=tmp_path) as sidecar:
        waiting = ("--yes", "--wait", "20", "--sidecar", sidecar.address, *_source(key))
        first = revision_of(key.read_bytes())
        assert run("switch", "billing", "dc2", *waiting).returncode == 0

        def recorded() -> bool:
            listed = run("rollback", "--list", "-o", "json", *state, *_source(key))
            return listed.returncode == 0 and len(json.loads(listed.stdout)) == 2

        eventually(recorded, "both documents in the record", within=30)
        done = run("rollback", "--by", "lin", *waiting, *state)
        assert done.returncode == 0, done.stderr
    assert "billing: all jobs dc2 → dc1" in done.stdout
    assert re.sub(r"^meta: .*\n", "", key.read_text(), flags=re.MULTILINE) == _TEXT
    assert f"reason: rollback to {first}" in key.read_text()


def test_colour_is_for_terminals_that_want_it(key: Path) -> None:
    """A terminal gets colour unless NO_COLOR is set; a pipe never does."""
    arguments = ("switch", "billing", "dc2", "--dry-run", *_source(key))
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        with Terminal(*arguments, env=env) as terminal:
            assert terminal.end() == 0
            assert ("\x1b[" in terminal.shown) == coloured
    assert "\x1b[" not in run(*arguments).stdout


def test_waiting_ends_when_every_sidecar_has_it(tmp_path: Path, key: Path) -> None:
    """`--wait` reports each sidecar as it confirms; with all there the exit code is 0, and they serve it."""
    port = free_port()
    listen = ("--listen", f"127.0.0.1:{port}")
    (tmp_path / "two").mkdir()
    with (
        SidecarProcess(f"file:{key}", *listen, folder=tmp_path) as one,
        SidecarProcess(f"file:{key}", folder=tmp_path / "two") as two,
    ):
        fleet = tmp_path / "fleet"
        fleet.write_text(f"# all of them\n{two.address}\n")
        sidecars = ("--sidecar", f"localhost:{port}", "--sidecar", f"@{fleet}")
        result = run("switch", "billing", "dc2", "--yes", "--wait", "20", *sidecars, *_source(key))
        assert result.returncode == 0, result.stderr
        revision = revision_of(key.read_bytes())
        assert re.search(rf"^127\.0\.0\.1:{port} +confirmed .* revision {revision}$", result.stdout, re.MULTILINE)
        assert "Confirmed by all 2." in result.stderr
        assert {one.status().revision, two.status().revision} == {revision}


def test_waiting_names_those_that_do_not_follow(tmp_path: Path, key: Path) -> None:
    """A sidecar of another key, and one that is not there, are named with what they said: exit code 5."""
    other = tmp_path / "other.yaml"
    other.write_text("dc1\n")
    nobody = f"127.0.0.1:{free_port()}"
    (tmp_path / "two").mkdir()
    with (
        SidecarProcess(f"file:{key}", folder=tmp_path) as one,
        SidecarProcess(f"file:{other}", folder=tmp_path / "two") as two,
    ):
        named = [word for address in (one.address, two.address, nobody) for word in ("--sidecar", address)]
        result = run("switch", "billing", "dc2", "--yes", "--wait", "2", *named, *_source(key))
    assert result.returncode == 5
    assert f"Not confirmed by 2 of 3: {two.address}, {nobody}" in result.stderr
    assert re.search(
        rf"^{re.escape(two.address)} +missing .* serves revision \w+ of file:{re.escape(str(other))}",
        result.stdout,
        re.MULTILINE,
    )
    assert "billing: dc2" in key.read_text()


def test_faults_that_a_sidecar_sees_stand_against_a_change(tmp_path: Path, key: Path) -> None:
    """A switch to a datacenter that the probes of a sidecar found down is refused, where no other is left."""
    port = free_port()
    probes = f"probes: [{{tcp: '127.0.0.1:{port}'}}], interval: 1s, fall: 1, rise: 1"
    key.write_text(f"datacenters: {{dc1: {{}}, dc2: {{{probes}}}}}\ndefault: dc1\n")
    with SidecarProcess(f"file:{key}", "--probe-hosts", "127.0.0.1", folder=tmp_path) as sidecar:
        eventually(lambda: sidecar.status().outages, "the outage", within=30)
        result = run("switch", "billing", "dc2", "--new", "--yes", "--sidecar", sidecar.address, *_source(key))
    assert result.returncode == 3
    assert "health checks found dc2 down (probes: tcp 127.0.0.1" in result.stdout
    assert "out-of-service: billing would have no datacenter in service" in result.stderr


def test_several_sidecars_stand_side_by_side(tmp_path: Path, key: Path) -> None:
    """`status` of several shows each in a line of 80 columns and marks the odd ones: exit code 5; all equal is 0."""
    other = tmp_path / "other.yaml"
    other.write_text("dc1\n")
    port, second, odd, nobody = (free_port() for _ in range(4))
    (tmp_path / "two").mkdir()
    with (
        SidecarProcess(
            f"file:{key}", "--listen", f"127.0.0.1:{port}", "--listen", f"127.0.0.1:{second}", folder=tmp_path
        ),
        SidecarProcess(f"file:{other}", "--listen", f"127.0.0.1:{odd}", folder=tmp_path / "two"),
    ):
        same = run("status", "--sidecar", f"127.0.0.1:{second}", "--sidecar", f"localhost:{port}", "--timeout", "20s")
        assert same.returncode == 0, same.stderr
        fleet = tmp_path / "fleet"
        fleet.write_text("".join(f"127.0.0.1:{one}\n" for one in (port, second, odd, nobody)))
        result = run("status", "--sidecar", f"@{fleet}", "--timeout", "20s")
        told = json.loads(run("status", "--sidecar", f"@{fleet}", "-o", "json").stdout)
    assert result.returncode == 5
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    revision = revision_of(key.read_bytes())
    assert re.search(rf"SYNCED +{revision} +<?[0-9ms]+ +<?[0-9ms]+$", lines[f"127.0.0.1:{port}"])
    assert re.search(rf"SYNCED +{revision_of(b'dc1' + bytes([10]))} .* differs$", lines[f"127.0.0.1:{odd}"])
    assert lines[f"127.0.0.1:{nobody}"].split()[1:3] == ["no", "answer"]
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert [entry["agrees"] for entry in told] == [True, True, False, False]
