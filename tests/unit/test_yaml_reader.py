"""YAML and JSON are read as text, and entries are located."""

from __future__ import annotations

import pytest

from sidecar.errors import DocumentRejected
from sidecar.yaml_reader import MAX_DEPTH, MAX_PROBLEMS, Position, _JsonDecoder, places, read, show


def _nothing() -> None:
    pass


def _problems(text: str) -> list[tuple[str, int | None, int | None, str]]:
    with pytest.raises(DocumentRejected) as refused:
        read(text, _nothing)
    return [(problem.path, problem.line, problem.column, problem.message) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: ~", {"a": "~"}),
        ("a: null", {"a": "null"}),
        ("a: 0x10", {"a": "0x10"}),
        ("a:", {"a": ""}),
        ("a: 'x'", {"a": "x"}),
        ("a: &anchor x", {"a": "x"}),
        ("- 1e3\n- 0755", ["1e3", "0755"]),
        ("{a: b, c: [d]}", {"a": "b", "c": ["d"]}),
        ('{"a": [1.50, true, false, null, -0]}', {"a": ["1.50", "true", "false", "null", "-0"]}),
        ("[]", []),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
        ("%YAML 1.2\n---\na: b\n...\n", {"a": "b"}),
        ("? a\n: b", {"a": "b"}),
        ("'<<': a", {"<<": "a"}),
        ("# nothing", ""),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    ],
)
def test_every_scalar_is_its_text(text: str, tree: object) -> None:
    """No scalar becomes a number, a boolean or null; an unused anchor changes nothing."""
    assert read(text, _nothing) == tree


def test_json_is_read_in_pieces() -> None:
    """A flat mapping in JSON is read with a checkpoint at each entry, before the mapping is complete."""
    steps: list[None] = []
    text = '{"a": {' + ", ".join(f'"k{number}": "v"' for number in range(1000)) + "}, "
    with pytest.raises(ValueError, match="Expecting"):
        _JsonDecoder(dict, lambda: steps.append(None)).decode(text)
    assert len(steps) >= 1000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b\na: c", ("a", 2, 1, "found a second time, expected once: remove one of the two")),
        ('{"a": 1, "a": 2}', ("a", 1, 10, "found a second time, expected once: remove one of the two")),
        ("a: &x b\nc: *x", ("c", 2, 4, "found the alias *x: write the value out, aliases are not allowed")),
        ("a: &x b\n*x : c", ("?", 2, 1, "found the alias *x: write the value out, aliases are not allowed")),
        ("<<: {a: b}", ("<<", 1, 1, "found a merge key: write the keys out, merging is not allowed")),
        ("a: !t b", ("a", 1, 4, "found the tag !t: remove it, tags are not allowed")),
        ("!t a: b", ("a", 1, 1, "found the tag !t: remove it, tags are not allowed")),
        ("a: !<%0Ab> c", ("a", 1, 4, "found the tag \\nb: remove it, tags are not allowed")),
        ("a: !!str b", ("a", 1, 4, "found the tag tag:yaml.org,2002:str: remove it, tags are not allowed")),
        ("%TAG !e! tag:x,1:\n--- a", ("", 1, 1, "found a %TAG directive: remove it, tags are not allowed")),
        ("#\n%TAG !e! tag:x,1:\n--- a", ("", 2, 1, "found a %TAG directive: remove it, tags are not allowed")),
        ("a: b\n---\nc: d", ("", 2, 1, "found a second YAML document (after ---), expected one")),
        ("a: {[b]: c}", ("a", 1, 5, "found a list or mapping as a key, expected a text")),
    ],
)
def test_refuses_what_is_not_allowed(text: str, problem: tuple[str, int, int, str]) -> None:
    """Each forbidden feature is one problem with path, line, column and remedy."""
    assert _problems(text) == [problem]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: b\n\tc: d", 2, 1, "it has a tab: indent with blanks"),
        ("a: 'b", 1, 6, "found unexpected end of stream"),
        ("a: b\n c: d", 2, 3, "mapping values are not allowed"),
        ("é: ü\nä: \0", 2, 4, "control characters are not allowed"),
        ('{"a": 1,,}', 1, 9, "did not find expected node content"),
        ('{"a": NaN, b: [', 2, 1, "did not find expected"),
    ],
)
def test_says_where_a_text_is_no_yaml(text: str, line: int, column: int, words: str) -> None:
    """Invalid YAML is located by characters, also after multi-byte letters."""
    ((path, *place, message),) = _problems(text)
    assert (path, place) == ("", [line, column])
    assert words in message
    assert message.startswith("this is no YAML (")


def test_nesting_is_bounded() -> None:
    """MAX_DEPTH is accepted, one level more is rejected; so are 100,000 levels, immediately."""
    read("[" * MAX_DEPTH + "]" * MAX_DEPTH, _nothing)
    for depth in (MAX_DEPTH + 1, 100_000):
        ((path, line, column, message),) = _problems("{a: " + "[" * depth)
        assert (path, line, column) == ("a" + "[0]" * 15, 1, 4 + MAX_DEPTH)
        assert message == "found nesting deeper than 16 levels, expected less"


def test_problems_are_bounded() -> None:
    """Of a text full of problems the first MAX_PROBLEMS are reported."""
    assert len(_problems("a: b\n" * 5000)) == MAX_PROBLEMS


def test_calls_the_checkpoint_while_it_reads() -> None:
    """The checkpoint is called every few entries, in YAML and JSON, in mappings and lists."""
    for text in (
        "a:\n" + "- b\n" * 10_000,
        '{"a": [' + "1," * 10_000 + "1]}",
        "".join(f"k{n}: v\n" for n in range(9999)),
    ):
        calls = 0

        def checkpoint() -> None:
            nonlocal calls
            calls += 1

        read(text, checkpoint)
        assert calls > 100


def test_places_are_those_of_keys_and_values() -> None:
    """Lines and columns count from 1; a list entry is located where it begins."""
    text = 'apps:\n  billing: {active: dc1}\n  "7":\n    backups: [dc2,\n      dc3]\n'
    found = places(text)
    assert found[()] == Position((1, 1), (1, 1))
    assert found[("apps", "billing", "active")] == Position((2, 13), (2, 21))
    assert found[("apps", "7")] == Position((3, 3), (4, 5))
    assert found[("apps", "7", "backups", 1)] == Position((5, 7), (5, 7))


def test_places_of_a_broken_text_are_those_before_the_break() -> None:
    """Invalid YAML has the positions of the entries before the error."""
    assert places("a: b\nc: 'd")[("a",)] == Position((1, 1), (1, 4))


def test_only_wanted_places_are_kept() -> None:
    """With `wanted`, only those positions are returned."""
    assert set(places("a: [b, c]\nd: e", wanted={("a", 1)})) == {("a", 1)}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("apps", "billing", "backups", 1), "apps.billing.backups[1]"),
        ((0, "a"), "[0].a"),
        (("apps", ""), "apps"),
        (("apps", "a\nb\ud800"), "apps.a\\nb\\ud800"),
        (("apps", "счёт"), "apps.счёт"),
        (("a" * 300, "b"), "a" * 256 + "….b"),
    ],
)
def test_shows_paths_in_one_line(path: tuple[str | int, ...], text: str) -> None:
    """A path is one printable line, whatever its keys hold."""
    assert show(path) == text
