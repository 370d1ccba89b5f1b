"""Values and options that commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from sidecar.cli.options.flags import tls_flags
from sidecar.cli.options.values import DURATION, SECONDS, START, CandidatesParam, Start, start_ns
from sidecar.routing.candidates import Worker
from tests.unit.cli.conftest import Run

S = 10**9


def _workers(text: str) -> tuple[Worker, ...]:
    return CandidatesParam().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "workers"),
    [
        ("dc1=1, dc2=2", [Worker("dc1-1", "dc1"), Worker("dc2-1", "dc2"), Worker("dc2-2", "dc2")]),
        (
            '["10.1.0.1:1", {"address": "10.1.0.2:1", "datacenter": "dc1"}]',
            [Worker("10.1.0.1:1"), Worker("10.1.0.2:1", "dc1")],
        ),
        (
            '[{"address": "a", "metrics": {"datacenter": "dc1"}}, {"address": "b", "tag": "dc1"}]',
            [Worker("a", metrics='{"datacenter": "dc1"}'), Worker("b", tag="dc1")],
        ),
    ],
)
def test_candidates_in_all_their_forms(tmp_path: Path, text: str, workers: Sequence[Worker]) -> None:
    """Counts, JSON, and a file with JSON."""
    assert list(_workers(text)) == workers
    if text.startswith("["):
        file = tmp_path / "workers.json"
        file.write_text(text)
        assert list(_workers(str(file))) == workers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.json", "cannot be read as a file (No such file or directory): expected counts"),
        ("dc1=1,dc2=x", "cannot be read as a file (No such file or directory): expected counts"),
        ("dc1=1,dc1=2", "found dc1 a second time"),
        ("dc1=10001", "found 10,001 workers, expected at most 10,000 in all"),
        ("[1]", "worker 0: expected an object with an address"),
        ('["a", {"addres": "x"}]', "worker 1: expected an object with an address"),
        ("[", "found invalid JSON"),
    ],
)
def test_candidates_that_are_none(text: str, message: str) -> None:
    """What is no list of workers is wrong usage, and the message says what is expected."""
    with pytest.raises(click.BadParameter) as refused:
        _workers(text)
    assert message in refused.value.message


def test_a_file_of_candidates_must_be_a_list(tmp_path: Path) -> None:
    """Other JSON, and a text that is not UTF-8, are reported as what they are."""
    file = tmp_path / "workers.json"
    for content, message in ((b"{}", "found JSON that is not a list"), (b"\xff", "not UTF-8")):
        file.write_bytes(content)
        with pytest.raises(click.BadParameter, match=message):
            _workers(str(file))


def test_candidates_are_wrong_usage(run: Run, document: Path) -> None:
    """A command ends with 2 and names its option."""
    result = run("explain", str(document), "--app", "x", "--candidates", "dc1=10001")
    assert result.code == 2
    assert "'--candidates': found 10,001 workers" in result.err


def test_a_start_is_a_time_or_a_delay() -> None:
    """Both come out in whole seconds; without one it is now."""
    assert START.convert("2026-11-22T10:00:00Z", None, None) == Start(1_795_341_600 * S, relative=False)
    assert start_ns(START.convert("10m", None, None), 5 * S + 1) == 605 * S
    assert start_ns(None, 5 * S + 1) == 5 * S
    with pytest.raises(click.BadParameter, match=r"expected a time with an offset .*, or a duration from now"):
        START.convert("soon", None, None)


def test_durations_and_seconds() -> None:
    """A duration stays the text that the document will say; seconds may stand without a unit."""
    assert DURATION.convert("1h30m", None, None) == "1h30m"
    assert [SECONDS.convert(text, None, None) for text in ("30", "30s", "500ms", "1m")] == [30, 30, 0.5, 60]
    for kind, text in ((DURATION, "0s"), (SECONDS, "0"), (SECONDS, "x")):
        with pytest.raises(click.BadParameter, match="found"):
            kind.convert(text, None, None)


@pytest.mark.parametrize("command", [["switch"], ["status"], ["filter"], ["watch"], ["powerjob", "retry"], ["health"]])
def test_tls_options_are_the_same_everywhere(run: Run, command: list[str]) -> None:
    """Each command that connects to sidecars has all of them, in the same words."""
    shown = " ".join(run(*command, "--help").out.split())
    for option in tls_flags(token=command != ["health"]):
        assert f"{option.opts[0]} " in shown
        assert option.help is not None
        assert option.help in shown
