"""`check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.errors import DocumentRejected
from sidecar.footprint import NACOS_CLIENT, document_budget
from sidecar.routing.document import parse_document
from tests.unit.cli.conftest import Run


def test_a_valid_document_is_one_line(run: Run, document: Path) -> None:
    """On stderr, with revision and counts; nothing on stdout."""
    result = run("check", str(document))
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"{document}: valid; revision ")
    assert result.err.endswith("1 application\n")


def test_every_problem_has_its_place(run: Run, document: Path) -> None:
    """All problems are on stdout as FILE:LINE:COLUMN: path: message, and the exit code is 1."""
    document.write_text("default: {activ: dc1}\napps:\n  a: {split: {dc1: 50%}}\n")
    result = run("check", str(document))
    assert result.code == 1
    first, second = result.out.splitlines()
    assert first.startswith(f"{document}:1:11: default.activ: ")
    assert second.startswith(f"{document}:3:20: apps.a.split.dc1: ")
    assert result.err == f"{document}: invalid, 2 problems\n"


def test_warnings_count_only_when_strict(run: Run, document: Path) -> None:
    """What is odd is a warning and no failure, unless --strict is given."""
    document.write_text("default: {split: {dc1: 80, dc2: 10}}")
    result = run("check", str(document))
    assert result.code == 0
    assert result.out.startswith(f"{document}:1:18: warning: default.split: the weights add up to 90")
    assert ": valid, 1 warning; " in result.err
    assert run("check", "--strict", str(document)).code == 1


def test_json_with_escaped_surrogates_is_valid(run: Run, document: Path) -> None:
    """YAML's parser does not know them, so a warning has no line; nothing breaks."""
    document.write_text('{"meta": {"by": "\\ud83d\\ude00"}, "default": {"split": {"dc1": 80, "dc2": 10}}}')
    result = run("check", str(document))
    assert result.code == 0
    assert result.out.startswith(f"{document}: warning: default.split: ")


def test_json(run: Run, document: Path) -> None:
    """-o json has the same as data, for a valid document and for another."""
    report = run("check", "-o", "json", str(document)).json
    assert (report["valid"], report["counts"]["applications"], report["problems"]) == (True, 1, [])
    document.write_text("default: {active: 'dc 1'}")
    result = run("check", "-o", "json", str(document))
    assert (result.code, result.json["valid"], result.json["counts"]) == (1, False, None)
    assert result.json["problems"][0]["path"] == "default.active"
    assert (result.json["problems"][0]["line"], result.json["problems"][0]["column"]) == (1, 19)


@pytest.mark.parametrize("name", ["none.yaml", "."])
def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path, name: str) -> None:
    """It is wrong usage, reported in a line."""
    result = run("check", str(tmp_path / name))
    assert result.code == 2
    assert "No such file or directory" in result.err or "Is a directory" in result.err


@pytest.mark.parametrize(
    ("flags", "applications", "fits"),
    [
        (("--max-memory", "64MiB"), 10_000, True),
        (("--max-memory", "64MiB"), 30_000, False),
        (("--max-memory", "128MiB"), 30_000, True),
        (("--max-memory", "128MiB", "--nacos"), 30_000, False),
        (("--max-memory", "192MiB", "--workers", "2"), 30_000, False),
        (("--max-memory", "384MiB", "--workers", "2"), 30_000, True),
        ((), 30_000, True),
    ],
)
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_document_that_a_pod_refuses_for_memory_is_invalid(
    run: Run, document: Path, flags: tuple[str, ...], applications: int, fits: bool, form: str
) -> None:
    """It is refused at the same entry, with the same remedy, as by a sidecar with that limit; else it is valid."""
    routes = {f"{number:x}": "d" for number in range(applications)}
    text = json.dumps({"apps": routes}) if form == "json" else "apps:\n" + "".join(f"  {n}: d\n" for n in routes)
    document.write_text(text)
    result = run("check", *flags, str(document))
    assert result.code == (0 if fits else 1)
    if not fits:
        limit = (int(flags[1].removesuffix("MiB")) << 20) // (3 if "--workers" in flags else 1)
        budget = document_budget(limit, beside=NACOS_CLIENT if "--nacos" in flags else 0)
        with pytest.raises(DocumentRejected) as refused:
            parse_document(text.encode(), budget=budget)
        (problem,) = refused.value.problems
        place = f"{document}:{problem.line}:{problem.column}: {problem.path}: "
        assert result.out == f"{place}{problem.message}\n"
        assert "raise --max-memory" in result.out
