"""The memory limit of the control group."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.memory import group_limit


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/", {"memory.max": "67108864\n"}, 67108864),
        ("0::/pod/it", {"pod/it/memory.max": "max\n", "pod/memory.max": "500\n"}, 500),
        ("0::/pod/it", {"pod/it/memory.max": "300\n", "pod/memory.max": "500\n"}, 300),
        ("9:memory:/it\n0::/", {"memory/it/memory.limit_in_bytes": "700\n"}, 700),
        # A container sees the path of its host, and its own group as the root.
        ("4:cpu,memory:/host/path", {"memory/memory.limit_in_bytes": "900\n"}, 900),
        ("9:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("3:cpu:/", {}, None),
    ],
)
def test_the_lowest_limit_counts(tmp_path: Path, own: str, files: dict[str, str], limit: int | None) -> None:
    """Of the own group and those around it, in both versions; "max" is none."""
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert group_limit(tmp_path / "own", tmp_path / "root") == limit


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    """As on other systems than Linux."""
    assert group_limit(tmp_path / "nowhere", tmp_path) is None
