import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sidecar.__main__ import main as process
from sidecar.cli import main
from sidecar.client import RouteUpdate, RoutingClient, Worker
from tests.unit.client.conftest import Sidecar
from tests.unit.client.conftest import sidecar as sidecar  # noqa: PLC0414 - a fixture of these tests too

GOOD = "default: {active: dc1, backups: [dc2]}\napps: {billing: dc2}\n"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give what runs a command in this process, and returns its exit code, stdout and stderr."""
    for name in list(os.environ):
        if name.startswith("DC_SIDECAR_"):
            monkeypatch.delenv(name)

    def command(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Write a good document."""
    path = tmp_path / "routing.yaml"
    path.write_text(GOOD)
    return path


def test_version_and_help(run: Run) -> None:
    """--version says what it is; help of each verb, under -h too, fits 80 columns and has an example."""
    assert run("--version")[:2] == (0, "dc-sidecar 0.1.0\n")
    code, out, _ = run("-h")
    assert code == 0
    verbs = [line.split()[0] for line in out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]
    assert {"serve", "check", "explain", "schema", "filter", "status", "watch", "config", "completion"} <= set(verbs)
    for words in (
        ["serve"],
        ["check"],
        ["explain"],
        ["schema"],
        ["filter"],
        ["status"],
        ["watch"],
        ["config", "show"],
        ["completion"],
    ):
        code, out, _ = run(*words, "-h")
        assert code == 0
        assert f"dc-sidecar {' '.join(words)}" in out.partition("Example")[2]
        assert [line for line in out.splitlines() if len(line) > 80] == []


def test_unknown_verb_names_the_nearest(run: Run) -> None:
    """A misspelt verb is a usage error that says what was probably meant."""
    code, out, err = run("chek")
    assert (code, out) == (2, "")
    assert "no such command 'chek': did you mean check?" in err


def test_check_of_a_good_document(run: Run, document: Path) -> None:
    """A good document is one line on stderr, with revision and counts, and nothing on stdout."""
    code, out, err = run("check", str(document))
    assert (code, out) == (0, "")
    assert err.startswith(f"{document}: good; revision ")
    assert err.endswith("1 application\n")


def test_check_prints_every_problem_with_its_place(run: Run, document: Path) -> None:
    """All problems are on stdout as FILE:LINE:COLUMN: path: message, and the exit code is 1."""
    document.write_text("default: {activ: dc1}\napps:\n  a: {split: {dc1: 50%}}\n")
    code, out, err = run("check", str(document))
    assert code == 1
    first, second = out.splitlines()
    assert first.startswith(f"{document}:1:11: default.activ: ")
    assert second.startswith(f"{document}:3:20: apps.a.split.dc1: ")
    assert err == f"{document}: refused, 2 problems\n"


def test_check_warnings_count_only_when_strict(run: Run, document: Path) -> None:
    """What is odd is a warning and no failure, unless --strict says so."""
    document.write_text("default: {split: {dc1: 80, dc2: 10}}")
    code, out, err = run("check", str(document))
    assert code == 0
    assert out.startswith(f"{document}:1:18: warning: default.split: the weights add up to 90")
    assert ": good, 1 warning; " in err
    assert run("check", "--strict", str(document))[0] == 1


def test_check_json(run: Run, document: Path) -> None:
    """-o json has the same as data, for a good document and a bad one."""
    report = json.loads(run("check", "-o", "json", str(document))[1])
    assert (report["valid"], report["counts"]["applications"], report["problems"]) == (True, 1, [])
    document.write_text("default: {active: 'dc 1'}")
    code, out, _ = run("check", "-o", "json", str(document))
    report = json.loads(out)
    assert (code, report["valid"], report["counts"]) == (1, False, None)
    assert report["problems"][0]["path"] == "default.active"
    assert (report["problems"][0]["line"], report["problems"][0]["column"]) == (1, 19)


def test_check_of_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    """A file that cannot be read is wrong usage, told in a line."""
    code, _, err = run("check", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "No such file or directory" in err


def test_explain_ends_in_the_answer(run: Run, document: Path) -> None:
    """The steps are numbered, and the last one is the answer."""
    code, out, _ = run("explain", str(document), "--app", "x", "--candidates", "dc1=2,dc2=1")
    assert code == 0
    assert [line[:2] for line in out.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    assert "   dc1: ACTIVE, 2 of 3 candidates\n     dc1-1\n     dc1-2\n" in out


def test_explain_json_has_the_decision(run: Run, document: Path) -> None:
    """-o json has the decision with its reason's name, and what led to it."""
    answer = json.loads(run("explain", str(document), "--app", "billing", "--candidates", "dc1=1", "-o", "json")[1])
    assert answer["decision"] == {"reason": "NO_WORKERS", "datacenter": "", "indices": [], "addresses": []}
    assert answer["route"] == "apps.billing"


def test_explain_of_a_bad_document(run: Run, document: Path) -> None:
    """A document that is refused is told as `check` tells it, not as a traceback."""
    document.write_text("default: {activ: dc1}")
    code, out, err = run("explain", str(document), "--app", "x", "--candidates", "dc1=1")
    assert (code, out) == (1, "")
    assert err.startswith("Error: default.activ (line 1, column 11): ")


@pytest.mark.parametrize(
    ("candidates", "indices"),
    [
        ("dc1=1,dc2=2", [0]),
        ('["10.1.0.1:1", {"address": "10.1.0.2:1", "datacenter": "dc1"}]', [1]),
        ('[{"address": "a", "metrics": {"datacenter": "dc1"}}, {"address": "b", "tag": "dc1"}]', [0]),
    ],
)
def test_candidates_in_all_their_forms(
    run: Run, document: Path, tmp_path: Path, candidates: str, indices: Sequence[int]
) -> None:
    """Counts, JSON, and a file with JSON mean the same workers."""
    asked = ["explain", str(document), "--app", "x", "-o", "json", "--candidates"]
    assert json.loads(run(*asked, candidates)[1])["decision"]["indices"] == indices
    if candidates.startswith("["):
        file = tmp_path / "workers.json"
        file.write_text(candidates)
        assert json.loads(run(*asked, str(file))[1])["decision"]["indices"] == indices


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ("nowhere.json", "no file that can be read (No such file or directory)"),
        ("[1]", "worker 0: expected an object with an address"),
        ('[{"addres": "x"}]', "worker 0: expected an object with an address"),
        ("[", "found no JSON"),
    ],
)
def test_candidates_that_are_none(run: Run, document: Path, candidates: str, message: str) -> None:
    """What is no list of workers is wrong usage, and the message says what is expected."""
    code, _, err = run("explain", str(document), "--app", "x", "--candidates", candidates)
    assert code == 2
    assert message in err


def test_schema_is_json(run: Run) -> None:
    """The schema comes on stdout as JSON of the 2020-12 draft."""
    assert json.loads(run("schema")[1])["$schema"].endswith("2020-12/schema")


def test_config_show_tells_values_and_where_from(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option is a line with its value and its layer; a secret is only said to be set."""
    file = tmp_path / "sidecar.yaml"
    file.write_text("max-streams: 20\n")
    monkeypatch.setenv("DC_SIDECAR_GRACE", "3s")
    monkeypatch.setenv("DC_SIDECAR_NACOS_PASSWORD", "s3cret")
    code, out, _ = run("config", "show", "--config", str(file), "--listen", "a:1", "--listen", "b:2")
    assert code == 0
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert rows["max-streams"].split() == ["20", f"{file}:1"]
    assert rows["grace"].split() == ["3s", "DC_SIDECAR_GRACE"]
    assert rows["listen"].split("  ")[0] == "a:1, b:2"
    assert rows["nacos-password"].split() == ["(set)", "DC_SIDECAR_NACOS_PASSWORD"]
    assert "s3cret" not in out
    values = {value["name"]: value for value in json.loads(run("config", "show", "-o", "json")[1])}
    assert values["grace"] == {"name": "grace", "value": "3s", "layer": "environment", "origin": "DC_SIDECAR_GRACE"}
    assert values["nacos-password"]["value"] == "(set)"


def test_config_show_refuses_what_serve_would(run: Run) -> None:
    """A wrong flag ends with 2, in the words of `serve`."""
    code, _, err = run("config", "show", "--grace", "10")
    assert code == 2
    assert err == "Error: --grace: found '10', expected a duration such as 500ms, 10s or 1m30s\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str) -> None:
    """Each shell gets a script that asks dc-sidecar itself."""
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "_DC_SIDECAR_COMPLETE" in out


def test_filter_status_against_a_sidecar(run: Run, sidecar: Sidecar) -> None:
    """A running sidecar is asked at its address; the answer is readable, and is data with -o json."""
    sidecar.serve(GOOD)
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    code, out, _ = run("filter", "x", "--candidates", "dc1=1,dc2=1", *at)
    assert code == 0
    assert out.startswith("dc1  ACTIVE  1 of 2 candidates  revision ")
    assert out.endswith("\n  dc1-1\n")
    assert json.loads(run("filter", "x", "--candidates", "dc2=1", "-o", "json", *at)[1])["reason"] == "FAILOVER"
    code, out, _ = run("status", *at)
    assert code == 0
    assert dict(line.split(maxsplit=1) for line in out.splitlines())["state"] == "SYNCED"
    assert json.loads(run("status", "-o", "json", *at)[1])["source"] == "file:test"


def test_filter_asks_as_the_scheduler_does(run: Run, sidecar: Sidecar) -> None:
    """By name, by number and by an explicit alias: the answer that the scheduler gets, for each of 60 jobs."""
    sidecar.serve("default: {split: {dc1: 50, dc2: 50}}\napps: {'7': {min_workers: 1}}\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s", "--candidates", "dc1=1,dc2=1", "-o", "json")
    workers = [Worker(address=name, datacenter=name) for name in ("dc1", "dc2")]
    with RoutingClient(sidecar.address, timeout=20, cache_size=0) as scheduler:
        asked = [
            scheduler.filter("billing", job=str(job), candidates=workers, aliases=["7"], dispatch=True)
            for job in range(60)
        ]
    assert {answer.datacenter for answer in asked} == {"dc1", "dc2"}
    for job, answer in enumerate(asked):
        for names in (["billing"], ["7"], ["billing", "--alias", "7"]):
            found = json.loads(run("filter", *names, "--job", str(job), *at)[1])
            assert (found["datacenter"], found["app"], found["aliases"]) == (answer.datacenter, "billing", ["7"])
    _, out, err = run("filter", "7", *at[:-2])
    assert out.startswith("dc")
    assert "Asked as the scheduler asks: application billing, alias 7" in err


def test_a_question_does_not_say_how_the_scheduler_asks(run: Run, sidecar: Sidecar) -> None:
    """Only requests that dispatch are remembered: `filter --alias` changes no later answer."""
    sidecar.serve("default: dc1")
    at = ("--sidecar", sidecar.address, "--timeout", "20s", "--candidates", "dc1=1", "-o", "json")
    run("filter", "other", "--alias", "billing", *at)
    assert json.loads(run("filter", "billing", *at)[1])["app"] == "billing"


def test_address_may_come_from_the_environment(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """DC_SIDECAR_ADDRESS says where the sidecar is, once for all commands."""
    monkeypatch.setenv("DC_SIDECAR_ADDRESS", sidecar.address)
    code, out, _ = run("status", "--timeout", "20s")
    assert code == 0
    assert "no routing document yet" in out


@pytest.mark.parametrize("words", [["status"], ["watch"], ["filter", "x", "--candidates", "dc1=1"]])
def test_no_sidecar_is_exit_code_6(run: Run, tmp_path: Path, words: list[str]) -> None:
    """Nobody there is told in a line, without a traceback."""
    code, out, err = run(*words, "--sidecar", f"unix:{tmp_path}/none.sock")
    assert (code, out) == (6, "")
    assert err.startswith("Error: unix:")
    assert len(err.splitlines()) == 1


def test_watch_prints_a_line_for_what_holds_and_each_change(
    run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watch begins with the routes, tells each change of them, and Ctrl-C ends it without a traceback."""
    sidecar.serve(GOOD)
    watch = RoutingClient.watch

    def two_changes(client: RoutingClient, apps: Sequence[str]) -> Iterator[RouteUpdate]:
        updates = watch(client, apps)
        yield next(updates)
        sidecar.serve("default: {split: {dc1: 3, dc2: 1}}\napps: {billing: dc2}\n")
        yield next(updates)
        sidecar.serve("datacenters: {dc1: {available: false}, dc2: {}}\ndefault: {split: {dc1: 3, dc2: 1}}\n")
        yield next(updates)
        raise KeyboardInterrupt

    monkeypatch.setattr(RoutingClient, "watch", two_changes)
    code, out, err = run("watch", "--sidecar", sidecar.address)
    assert code == 130
    assert err.strip() == ""
    assert [line.split("  ")[1] for line in out.splitlines()] == [
        "default: dc1, then dc2",
        "billing: dc2",
        "default: dc1 → dc1 75 %, dc2 25 %; then dc2 → (none)",
        "default: (none) → out of service: dc1",
        "billing: dc2 → dc1 75 %, dc2 25 %; (none) → out of service: dc1",
    ]


def test_watch_connects_again(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sidecar that goes away is told on stderr, its return too, and the watch goes on."""
    sidecar.serve("dc1")
    watch = RoutingClient.watch
    streams = 0

    def broken_once(client: RoutingClient, apps: Sequence[str]) -> Iterator[RouteUpdate]:
        nonlocal streams
        streams += 1
        updates = watch(client, apps)
        yield next(updates)
        if streams == 2:
            raise KeyboardInterrupt
        sidecar.end()
        try:
            next(updates)
        finally:
            sidecar.begin()
            sidecar.serve("dc2")

    monkeypatch.setattr(RoutingClient, "watch", broken_once)
    code, out, err = run("watch", "--sidecar", sidecar.address)
    assert code == 130
    assert "the sidecar is shutting down; trying again" in err
    assert "connected again" in err
    assert out.splitlines()[-1].split("  ")[1] == "default: dc1 → dc2"


def test_serve_goes_round_click(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`serve` is the daemon's own; its help is the command line's."""
    monkeypatch.setattr(sys, "argv", ["dc-sidecar", "serve", "--grace", "10"])
    assert process() == 2
    assert "--grace: found '10'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["dc-sidecar", "serve", "--help"])
    assert process() == 0
    assert "--max-document-size SIZE" in capsys.readouterr().out


def test_closed_pipe_is_quiet() -> None:
    """A reader that has enough ends the command without a complaint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as complaints:
        assert complaints.read() == ""
    assert process.wait() == 0


def test_no_color(document: Path) -> None:
    """NO_COLOR takes the colours out where they would be."""
    document.write_text("default: {split: {dc1: 80, dc2: 10}}")
    command = [sys.executable, "-m", "sidecar", "check", str(document)]
    coloured = subprocess.run(command, capture_output=True, env={**os.environ, "FORCE_COLOR": "1"}, check=True)
    plain = subprocess.run(command, capture_output=True, env={**os.environ, "NO_COLOR": "1"}, check=True)
    assert b"\x1b" not in plain.stdout
    assert b"warning" in coloured.stdout
