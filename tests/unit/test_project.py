"""Habits of the project that no linter knows."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from sidecar.pb.dcsidecar.v1 import routing_pb2

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "sidecar/pb"
SHARED = ROOT.parent / "shared"
MODULES = sorted(
    path
    for folder in ("sidecar", "tests", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(GENERATED)
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


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_short_enough_to_read(path: Path) -> None:
    """At 400 lines it has become two."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


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


def test_the_generated_code_is_that_of_the_contract(tmp_path: Path) -> None:
    """What `make proto` writes is what is committed, byte by byte."""
    subprocess.run([ROOT / "protos/generate", tmp_path], check=True, timeout=200, capture_output=True)
    for path in sorted(GENERATED.rglob("routing_pb2.py*")):
        assert path.read_bytes() == (tmp_path / path.relative_to(GENERATED)).read_bytes(), "run `make proto`"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared contract is not beside this clone")
def test_the_contract_only_adds_to_the_shared_one(tmp_path: Path) -> None:
    """All messages, fields, enums and calls of the original are there, unchanged, under their numbers."""
    folder = tmp_path / "protos/dcsidecar/v1"
    folder.mkdir(parents=True)
    shutil.copy(SHARED / "contract/routing.proto", folder)
    shutil.copy(ROOT / "protos/generate", tmp_path / "protos")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "out").mkdir()
    subprocess.run([tmp_path / "protos/generate", tmp_path / "out"], check=True, timeout=200, capture_output=True)
    shared = _descriptor((tmp_path / "out/dcsidecar/v1/routing_pb2.py").read_text(encoding="utf-8"))
    ours = descriptor_pb2.FileDescriptorProto.FromString(routing_pb2.DESCRIPTOR.serialized_pb)
    assert (ours.package, ours.options, ours.service) == (shared.package, shared.options, shared.service)
    assert list(ours.enum_type) == list(shared.enum_type)
    assert [message.name for message in ours.message_type] == [message.name for message in shared.message_type]
    for mine, theirs in zip(ours.message_type, shared.message_type, strict=True):
        assert list(mine.field)[: len(theirs.field)] == list(theirs.field), mine.name


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
