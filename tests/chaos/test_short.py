"""The short form of the fault campaign; `make chaos` runs the long one."""

from __future__ import annotations

import pytest

from tests.chaos.campaign import run


@pytest.mark.parametrize(("source", "seed"), [("fake", 8), pytest.param("zookeeper", 9, marks=pytest.mark.zookeeper)])
def test_no_wrong_answer_and_no_failed_call(source: str, seed: int) -> None:
    """Whatever breaks, every call is answered, and as the rules say for the document that the answer names."""
    result = run(seed, source, seconds=20)
    print(result)
    assert result.wrong == []
    assert result.failed == []
    assert result.calls > 100
