"""The kinds of option values: which texts each takes."""

from __future__ import annotations

import pytest

from sidecar.config.kinds import CLUSTER


@pytest.mark.parametrize("text", ["{dc}", "{app}-{dc}", "outbound|80||{app}.{dc}.svc", "x{dc}{dc}"])
def test_cluster_templates(text: str) -> None:
    """A template names the datacenter, and the application where it likes."""
    assert CLUSTER.read(text) == text


@pytest.mark.parametrize("text", ["", "dc", "{app}", "{app}-{datacenter}", "{dc}-{", "{dc}\n", "{dc}" + 256 * "x"])
def test_wrong_cluster_templates(text: str) -> None:
    """Without the datacenter all clusters were one; what is misspelt would be part of each name."""
    assert CLUSTER.read(text) is None
