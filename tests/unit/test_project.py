"""Habits of the project that no linter knows."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from google.protobuf import descriptor_pb2

from sidecar.pb.dcsidecar.v1 import routing_pb2

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "sidecar/pb"
MODULES = sorted(
    path
    for folder in ("sidecar", "tests", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(GENERATED)
)


Named = TypeVar(
    "Named",
    descriptor_pb2.DescriptorProto,
    descriptor_pb2.EnumDescriptorProto,
    descriptor_pb2.ServiceDescriptorProto,
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in MODULES if "tests" not in path.parts], ids=_name)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    """Its first line says what it is for."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert said, "has no docstring"
    sentence = said.partition("\n\n")[0]
    assert sentence.endswith("."), "does not begin with a whole sentence"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name.startswith("test_")], ids=_name)
def test_a_test_says_what_it_pins(path: Path) -> None:
    """Each test function has a sentence of its own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "conftest.py"], ids=_name)
def test_a_fixture_of_a_folder_ends_with_it(path: Path) -> None:
    """Its folder is a package: pytest takes `scope="package"` for the whole session elsewhere, and servers idle on."""
    if 'scope="package"' in path.read_text(encoding="utf-8"):
        assert (path.parent / "__init__.py").exists()


def test_the_generated_code_is_that_of_the_contract(tmp_path: Path) -> None:
    """What `make proto` writes is what is committed, byte by byte."""
    subprocess.run([ROOT / "protos/generate", tmp_path], check=True, timeout=200, capture_output=True)
    for path in sorted(GENERATED.rglob("*_pb2.py*")):
        assert path.read_bytes() == (tmp_path / path.relative_to(GENERATED)).read_bytes(), "run `make proto`"


def test_the_contract_only_adds_to_the_released_one(tmp_path: Path) -> None:
    """All messages, fields, enums and calls of tests/contract are there, unchanged, under their numbers."""
    folder = tmp_path / "protos/dcsidecar/v1"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests/contract/routing.proto", folder)
    shutil.copy(ROOT / "protos/generate", tmp_path / "protos")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "out").mkdir()
    subprocess.run([tmp_path / "protos/generate", tmp_path / "out"], check=True, timeout=200, capture_output=True)
    released = _descriptor((tmp_path / "out/dcsidecar/v1/routing_pb2.py").read_text(encoding="utf-8"))
    ours = descriptor_pb2.FileDescriptorProto.FromString(routing_pb2.DESCRIPTOR.serialized_pb)
    assert (ours.package, ours.options) == (released.package, released.options)
    _assert_only_adds(list(ours.message_type), list(released.message_type))
    _assert_same_values(list(ours.enum_type), list(released.enum_type))
    for mine, theirs in _pairs(list(ours.service), list(released.service)):
        assert all(call in mine.method for call in theirs.method), theirs.name


def _assert_only_adds(
    ours: list[descriptor_pb2.DescriptorProto], released: list[descriptor_pb2.DescriptorProto]
) -> None:
    for mine, theirs in _pairs(ours, released):
        assert all(field in mine.field for field in theirs.field), theirs.name
        _assert_only_adds(list(mine.nested_type), list(theirs.nested_type))
        _assert_same_values(list(mine.enum_type), list(theirs.enum_type))


def _assert_same_values(
    ours: list[descriptor_pb2.EnumDescriptorProto], released: list[descriptor_pb2.EnumDescriptorProto]
) -> None:
    for mine, theirs in _pairs(ours, released):
        assert all(value in mine.value for value in theirs.value), theirs.name


def _pairs(ours: list[Named], released: list[Named]) -> Iterator[tuple[Named, Named]]:
    """Yield each released declaration with ours of that name."""
    by_name = {each.name: each for each in ours}
    for theirs in released:
        assert theirs.name in by_name, theirs.name
        yield by_name[theirs.name], theirs


def _descriptor(module: str) -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor that generated code carries, without registering it a second time."""
    (literal,) = (
        node.args[0].value
        for node in ast.walk(ast.parse(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "AddSerializedFile"
        and isinstance(node.args[0], ast.Constant)
    )
    assert isinstance(literal, bytes)
    return descriptor_pb2.FileDescriptorProto.FromString(literal)
