"""The errors this project raises on purpose."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

import grpc
import pytest

from sidecar import errors
from sidecar.errors import BadRequest, DocumentRejected, Problem, SidecarError


def _kinds(kind: type[SidecarError] = SidecarError) -> list[type[SidecarError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _kinds(sub))]


def test_errors_that_leave_their_module_are_all_in_one() -> None:
    """Any other exception is private: a class whose name does not begin with an underscore is in sidecar/errors.py.

    Those of the probes are not, as importing it would double what a probe costs.
    """
    folder = Path(errors.__file__).parent
    exceptions = {
        name for name, found in vars(builtins).items() if isinstance(found, type) and issubclass(found, BaseException)
    }
    exceptions |= {kind.__name__ for kind in _kinds()}
    elsewhere = [
        f"{path.relative_to(folder)}: {node.name}"
        for path in sorted(folder.rglob("*.py"))
        if path not in {folder / "errors.py", folder / "probe.py"} and "pb" not in path.relative_to(folder).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(ast.unparse(base).rpartition(".")[2] in exceptions for base in node.bases)
    ]
    assert elsewhere == []


@pytest.mark.parametrize("kind", [kind for kind in _kinds() if kind.__module__ == errors.__name__])
def test_every_error_carries_its_codes(kind: type[SidecarError]) -> None:
    """The command line ends with a code that is not success; a call is answered with a status that exists."""
    assert 0 < kind.exit_code < 126
    assert kind.grpc_status in grpc.StatusCode.__members__
    assert kind.grpc_status != "OK"


def test_a_problem_reads_as_one_line() -> None:
    """Path, place, message; without a path it is the document's."""
    assert str(Problem("apps.a", "found x", 3, 7)) == "apps.a (line 3, column 7): found x"
    assert str(Problem("dc\t1", "found \x1b[2J again")) == "dc\\t1: found \\x1b[2J again"
    assert str(Problem("", "the text is empty")) == "the document: the text is empty"


def test_a_refusal_tells_all_and_its_summary_one() -> None:
    """The summary says how many more there are."""
    one, two = Problem("a", "x", 1, 1), Problem("b", "y", 2, 1)
    assert str(DocumentRejected((one, two))) == "a (line 1, column 1): x\nb (line 2, column 1): y"
    assert DocumentRejected((one, two)).summary == "a (line 1, column 1): x (and 1 more)"
    assert DocumentRejected((one,)).summary == "a (line 1, column 1): x"


def test_a_bad_request_names_its_field() -> None:
    """The field is there to be read by programs, too."""
    error = BadRequest("candidates[3].address", "is empty")
    assert (error.field, str(error)) == ("candidates[3].address", "candidates[3].address: is empty")
