"""The documentation names only what exists: flags, commands, variables, links, anchors, files and modules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from math import log
from pathlib import Path
from unicodedata import east_asian_width

import click
import pytest

from sidecar.cli.main import cli
from sidecar.config import OPTIONS
from sidecar.config.layers import CLIENT_VARIABLES
from sidecar.routing.rendezvous import score

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "adapters/**/*.md", "bench/*.md")
    for page in ROOT.glob(pattern)
    if "target" not in page.parts
)
RECORDS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))

WIDTH = 100
# Flags of other programs that the pages show, and whose they are.
FOREIGN_FLAGS = {
    "--build-arg": "docker",
    "--check": "sha256sum",
    "--dry-run": "kubectl",
    "--from-literal": "kubectl",
    "--from-stdin": "an operator's own command",
    "--go-grpc_opt": "protoc",
    "--go-grpc_out": "protoc",
    "--go_opt": "protoc",
    "--go_out": "protoc",
    "--ignore-missing": "sha256sum",
    "--repo": "gh",
    "--set": "helm",
    "--show-managed-fields": "kubectl",
    "--spring": "PowerJob's server",
    "--verify": "gpg",
}
# Variables of the PowerJob adapter, which reads its properties from the environment too.
ADAPTER_VARIABLES = {
    "DC_SIDECAR_TARGET",
    "DC_SIDECAR_ON_NO_WORKER",
    "DC_SIDECAR_DATACENTER_FILE",
}
# What Kubernetes sets for a service named dc-sidecar.
SERVICE_VARIABLES = {"DC_SIDECAR_SERVICE_HOST", "DC_SIDECAR_PORT_50051_TCP"}

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z_]*(?:-[a-z_]+)*")
_COMMAND = re.compile(r"(?:^|`|\$ |-- )(?:\S*/|[A-Z_]+=\S+ )*dc-sidecar ([a-z]+(?: [a-z]+)?)([^`#|\n]*)", re.MULTILINE)
_LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
# Not after `exec`: kubectl names Deployments like folders.
_PATH = re.compile(
    r"(?<![\w/.{-])(?<!exec )(?:sidecar|tests|bench|docs|deploy|adapters|protos|requirements)/[\w./*-]*[\w*]"
)
_MODULE = re.compile(r"(?:python -m |from )((?:sidecar|bench|tests)[\w.]*)|\b(bench\.[a-z_]+)")
_EXTRAS = re.compile(r"(?:dc-sidecar|'\.)\[([a-z,-]+)\]|\bthe extra `?(?!dc-sidecar\[)([a-z-]+)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text(page: Path) -> str:
    """Return a page with continued lines of commands joined."""
    return page.read_text(encoding="utf-8").replace("\\\n", " ")


@cache
def _commands() -> dict[str, frozenset[str]]:
    """Return the flags of each command, by its words, as in `drill start`."""
    with click.Context(cli) as context:
        return dict(_flags_of(cli, context, ""))


def _flags_of(group: click.Group, context: click.Context, prefix: str) -> Iterator[tuple[str, frozenset[str]]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _flags_of(command, context, f"{prefix}{name} ")
        options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
        yield f"{prefix}{name}", frozenset(("--help", *options))


@cache
def _own_flags() -> frozenset[str]:
    """Return the flags of all commands, of all options, and of the project's scripts."""
    scripts = [path for folder in ("bench", "tests/chaos") for path in (ROOT / folder).rglob("*.py")]
    of_scripts = re.findall(r'add_argument\("(--[\w-]+)"', "".join(path.read_text() for path in scripts))
    of_commands = frozenset().union(*_commands().values())
    of_options = {option.flag for option in OPTIONS if not option.secret}
    return of_commands | of_options | set(of_scripts) | {"--version", "--help"}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_flags_exist(page: Path) -> None:
    """Each flag on a page is one of an option, a command, a script of ours, or a known flag of another program."""
    assert set(_FLAG.findall(_text(page))) - _own_flags() - set(FOREIGN_FLAGS) == set()


def test_foreign_flags_are_used() -> None:
    """No flag of another program is listed that no page shows."""
    shown = {flag for page in PAGES for flag in _FLAG.findall(_text(page))}
    assert set(FOREIGN_FLAGS) - shown == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_exist(page: Path) -> None:
    """Each `dc-sidecar COMMAND` on a page is a command, and has the flags that it is shown with."""
    for words, rest in _COMMAND.findall(_text(page)):
        name = words if words in _commands() else words.split()[0]
        assert name in _commands(), f"dc-sidecar {words}"
        assert set(_FLAG.findall(rest)) <= _commands()[name], f"dc-sidecar {words}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_variables_exist(page: Path) -> None:
    """Each DC_SIDECAR_ variable on a page is one of an option, of a command, or of the PowerJob adapter."""
    known = {option.variable for option in OPTIONS} | set(CLIENT_VARIABLES) | ADAPTER_VARIABLES | SERVICE_VARIABLES
    assert set(re.findall(r"\bDC_SIDECAR_[A-Z0-9_]*[A-Z0-9]", _text(page))) <= known


def test_extras_exist() -> None:
    """Pages, help texts and errors name extras that can be installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for file in (*PAGES, *sorted((ROOT / "sidecar").rglob("*.py"))):
        text = file.read_text(encoding="utf-8")
        named = {name for found in _EXTRAS.finditer(text) for name in (found[1] or found[2]).split(",")}
        assert named <= declared.keys(), file


@cache
def _anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    """Each relative link leads to a file, and its anchor to a heading there."""
    for target in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http:", "https:")):
            continue
        place, _, anchor = target.partition("#")
        found = (page.parent / place).resolve() if place else page
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_paths_exist(page: Path) -> None:
    """Each path into the repository exists; capitals such as NAME stand for any name."""
    missing = {
        path
        for path in _PATH.findall(page.read_text(encoding="utf-8"))
        if not any(ROOT.glob(re.sub(r"\bNAME\b", "*", path)))
        and not any(page.parent.glob(re.sub(r"\bNAME\b", "*", path)))
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_modules_exist(page: Path) -> None:
    """Each module of ours that is imported or run on a page exists."""
    for names in _MODULE.findall(_text(page)):
        for name in filter(None, names):
            assert find_spec(name) is not None, name


def test_the_transcripts_are_of_the_example_document() -> None:
    """README and getting-started show the revision of deploy/examples/routing.yaml, and the one after the edit."""
    text = (ROOT / "deploy/examples/routing.yaml").read_text(encoding="utf-8")
    edited = text.replace("reports: dc2", "reports: dc1")
    revisions = {sha256(each.encode()).hexdigest()[:12] for each in (text, edited)}
    for name in ("README.md", "README.zh-CN.md", "docs/getting-started.md"):
        assert set(re.findall(r"revision[ =]([0-9a-f]{12})\b", (ROOT / name).read_text(encoding="utf-8"))) == revisions


def test_the_figures_of_the_comparison_are_measured() -> None:
    """Each row of figures in docs/comparison.md stands in the results that the benchmarks wrote."""
    page = (ROOT / "docs/comparison.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [\d,]+ \|.*$", page, re.MULTILINE)
    assert len(rows) >= 3
    assert set(rows) <= set((ROOT / "bench/RESULTS.md").read_text(encoding="utf-8").splitlines())


def _structure(text: str) -> dict[str, list[str]]:
    """Return what two languages of a page have in common: headings by level, code, tables, lists, links, images."""
    prose = _FENCED.sub("", text)
    code = [re.sub(r"#.*$", "", block, flags=re.MULTILINE) for block in _FENCED.findall(text)]
    links = [re.sub(r"^(\.\./)+", "", target.partition("#")[0]) for target in _LINK.findall(prose)]
    tables = [line for line in prose.splitlines() if line.startswith("|")]
    return {
        "headings": re.findall(r"^(#+) ", prose, re.MULTILINE),
        "code": [re.sub(r"\s+", " ", block) for block in code],
        "tables": [str(line.count("|")) for line in tables],
        "paragraphs": [
            str(len(re.split(r"\n{2,}", part.strip()))) for part in re.split(r"^#.*$", prose, flags=re.MULTILINE)
        ],
        "lists": re.findall(r"^(-|\d+\.) ", prose, re.MULTILINE),
        "flags": sorted(set(_FLAG.findall(prose))),
        "links": sorted({target for target in links if target}),
    }


@pytest.mark.parametrize("page", sorted((ROOT / "docs/zh").glob("*.md")), ids=_name)
def test_chinese_pages_have_the_structure_of_the_english(page: Path) -> None:
    """The same headings, commands, rows, items, flags and links: a page that one language lacks a part of fails."""
    if page.name == "index.md":
        # It says which pages there are in Chinese.
        assert set(re.findall(r"\]\(([a-z-]+\.md)\)", page.read_text(encoding="utf-8"))) == {
            each.name for each in page.parent.glob("*.md") if each != page
        }
        return
    english, chinese = (_structure(each.read_text(encoding="utf-8")) for each in (ROOT / "docs" / page.name, page))
    for part, found in chinese.items():
        assert found == english[part], f"{part} of {page.name}"


def test_the_worked_example_of_the_rules_is_right() -> None:
    """The figures in docs/decision-rules.md are those of the formula beside them, and of the code."""
    page = (ROOT / "docs/decision-rules.md").read_text(encoding="utf-8")
    for datacenter, weight in (("dc1", 90.0), ("dc2", 10.0)):
        digest = sha256(f"billing\n7\n{datacenter}".encode()).hexdigest()[:16]
        h = int(digest, 16) >> 12
        unit = (h + 0.5) / 2**52
        assert {digest, str(h), str(unit), str(log(unit))} <= set(re.findall(r"[-\w.]+", page))
        assert -weight / log(unit) == score("billing", "7", datacenter, weight)
        assert f"**{score('billing', '7', datacenter, weight)}**" in page
        assert str(score("billing", "5", datacenter, weight)) in page


def _columns(line: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in line)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "RESULTS.md"], ids=_name)
def test_prose_is_wrapped(page: Path) -> None:
    """Prose ends at 100 columns; tables, code blocks and lines of one long word do not count."""
    prose = _FENCED.sub("", page.read_text(encoding="utf-8")).splitlines()
    assert [
        line
        for line in prose
        if _columns(line) > WIDTH and not line.startswith("|") and " " in line.strip().lstrip("-# ")
    ] == []


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_a_decision_record_is_complete(record: Path) -> None:
    """Each ADR has title, status, date and its sections, and stands in the index with the same title and date."""
    text = record.read_text(encoding="utf-8")
    title = re.match(r"# ADR (\d+): (.+)\n\n- Status: (?:accepted|superseded)\b.*\n- Date: (\d{4}-\d\d-\d\d)\n", text)
    assert title is not None
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]
    number, words, date = title.groups()
    assert record.name.startswith(f"{int(number):04d}-")
    index = (record.parent / "README.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^\| \[{number}\]\({record.name}\) \| {re.escape(words)} \| .+ \| {date} \|$", index, re.MULTILINE
    )
