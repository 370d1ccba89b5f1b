"""The short form of the attacks; `make attack` runs all of them and allows less latency."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.attack import Attack, all_attacks
from tests.attack.runner import Setting, carry_out

# One other test runs at the same time, so only long stalls can be checked here.
_SETTING = Setting(seconds=1.0, latency_ms=1000.0)


def _short() -> list[object]:
    return [
        pytest.param(
            attack, id=attack.name, marks=[pytest.mark.xfail(reason=attack.open, strict=True)] * bool(attack.open)
        )
        for attack in all_attacks()
        if attack.short
    ]


@pytest.mark.timed
@pytest.mark.parametrize("attack", _short())
def test_the_sidecar_withstands(attack: Attack) -> None:
    """The sidecar survives within its memory limit, and answers other callers correctly."""
    result = carry_out(attack, _SETTING)
    assert not result.problems(_SETTING.latency_ms), "\n".join([*result.problems(_SETTING.latency_ms), *result.notes])


def test_each_attack_is_in_the_table() -> None:
    """The table of README.md lists each attack and the required behaviour."""
    listed = Path(__file__).with_name("README.md").read_text(encoding="utf-8").splitlines()
    attacks = all_attacks()
    assert [line for line in listed if line.startswith("| `")] == [
        f"| `{attack.name}` | {attack.item} | {attack.product} |" for attack in attacks
    ]
