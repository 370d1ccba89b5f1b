"""The decisions and refusals that every implementation of the routing rules must make."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from sidecar.errors import DocumentRejected
from sidecar.pb.dcsidecar.v1 import routing_pb2
from sidecar.routing.decision import Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from tests import reference

# What YAML has, of whatever shape.
Vector: TypeAlias = Any

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors"
# Other implementations keep the vectors in a directory beside their clone; a clone of this repository alone has none.
SHARED = ROOT.parent / "shared/vectors"


def _load(name: str, folder: Path = VECTORS) -> Vector:
    return yaml.load((folder / name).read_text(encoding="utf-8"), Loader=yaml.CBaseLoader)


DECISIONS = [
    pytest.param(group["document"], case, id=f"{group['title']}: {case['name']}")
    for group in _load("decisions.yaml")
    for case in group["cases"]
]
REFUSALS = [pytest.param(case, id=case["name"]) for case in _load("invalid.yaml")]


@pytest.mark.parametrize(("text", "case"), DECISIONS)
def test_decides_as_the_vectors_say(text: str, case: Vector) -> None:
    """Reason, datacenter and indices are those of the vector."""
    now = parse_time(case["now"])
    assert now is not None
    request = case["request"]
    candidates = [routing_pb2.Worker(**worker) for worker in request["candidates"]]
    state = State(parse_document(text.encode()), generation=1, now_ns=now)

    aliases = tuple(request.get("app_aliases", ()))
    decision = decide(state, request["app"], request["job"], request["instance"], candidates, aliases)

    expected = case["expect"]
    assert decision.reason is Reason[expected["reason"]]
    assert decision.datacenter == expected["datacenter"]
    assert list(decision.indices) == [int(index) for index in expected["indices"]]


@pytest.mark.parametrize(("text", "case"), DECISIONS)
def test_the_reference_decides_as_the_vectors_say(text: str, case: Vector) -> None:
    """What the property tests compare with holds to the vectors too."""
    expected = case["expect"]
    decided = reference.decide(reference.parse(text), case["request"], reference.instant(case["now"]))
    assert decided == (expected["reason"], expected["datacenter"], [int(index) for index in expected["indices"]])


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses_as_the_vectors_say(case: Vector) -> None:
    """There is exactly one problem, it names the path of the vector, and says where in the text it is."""
    with pytest.raises(DocumentRejected) as refused:
        parse_document(case["document"].encode())
    (problem,) = refused.value.problems
    assert problem.path == case["path"]
    assert problem.line is not None
    assert problem.line >= 1
    assert problem.column is not None
    assert problem.column >= 1
    assert problem.message.isprintable()


@pytest.mark.parametrize("case", REFUSALS)
def test_the_reference_refuses_as_the_vectors_say(case: Vector) -> None:
    """What the property tests compare with refuses the same texts."""
    with pytest.raises(reference.RefusedError):
        reference.parse(case["document"])


@pytest.mark.skipif(not SHARED.is_dir(), reason="there is no ../shared/vectors beside this clone")
@pytest.mark.parametrize("name", ["decisions.yaml", "invalid.yaml"])
def test_the_shared_vectors_are_among_these(name: str) -> None:
    """Where ../shared/vectors exists, tests/vectors has all of its vectors, comments aside."""
    own = _load(name)
    assert [vector for vector in _load(name, SHARED) if vector not in own] == []
