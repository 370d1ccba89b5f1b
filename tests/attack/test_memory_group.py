"""Finding a memory group; a plain folder stands in for the cgroup filesystem."""

from __future__ import annotations

from pathlib import Path

from tests.attack.memory_group import CgroupV2, SampledGroup, make_group, memory_of
from tests.servers.process import ServerProcess
from tests.waiting import eventually


def test_a_group_is_made_below_the_nearest_ancestor_that_delegates_memory(tmp_path: Path) -> None:
    """A parent that does not delegate the memory controller is skipped, and nothing is left in it."""
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    own = tmp_path / "pod" / "container"
    own.mkdir(parents=True)
    # What the kernel refuses with EBUSY while processes are in the group.
    (own / "cgroup.subtree_control").mkdir()
    (tmp_path / "pod" / "cgroup.subtree_control").write_text("")
    group = CgroupV2.make(1000, "ours", roots=(tmp_path,), own="/pod/container")
    assert group is not None
    assert (tmp_path / "pod/ours/memory.max").read_text() == "1000"
    assert group.enter() == f"echo 0 > {tmp_path}/pod/ours/cgroup.procs"
    assert not (own / "ours").exists()


def test_without_a_unified_hierarchy_there_is_none(tmp_path: Path) -> None:
    """A folder that is no cgroup filesystem is not touched."""
    assert CgroupV2.make(1000, "ours", roots=(tmp_path,), own="/") is None
    assert list(tmp_path.iterdir()) == []


def test_where_no_group_can_be_made_a_process_above_the_limit_is_killed(tmp_path: Path) -> None:
    """Sampling kills a process above the limit and reports it."""
    limit = 30 * 1024**2
    group = make_group(limit, "rlimit")
    assert isinstance(group, SampledGroup)
    hungry = ["python3", "-c", "import time; held = b'x' * (64 << 20); time.sleep(60)"]
    with ServerProcess(hungry, ready=lambda: True, log=tmp_path / "log") as process:
        pid = process.pid
        eventually(lambda: memory_of(pid).rss > limit, "a process above the limit")
        assert not group.exceeded(pid)
        assert group.used(pid) > limit
        assert group.exceeded(pid)
        eventually(lambda: not process.running, "the end of the process")
