"""`completion`."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(run: Run, shell: str) -> None:
    """The script asks dc-sidecar itself."""
    result = run("completion", shell)
    assert result.code == 0
    assert "_DC_SIDECAR_COMPLETE" in result.out
