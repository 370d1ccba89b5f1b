"""The progress of rescheduling survives restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.powerjob.finder import RescheduleAction, RescheduleStep
from sidecar.powerjob.mover import RescheduleOutcome
from sidecar.powerjob.progress import RescheduleProgress

STEP = RescheduleStep(
    action=RescheduleAction.RETRY, app="a", instance=1, job=7, job_name="j", workflow=None, worker="", why="because"
)
RESTART = replace(STEP, action=RescheduleAction.RESTART, instance=2)
OF_WORKFLOW = replace(STEP, action=RescheduleAction.RETRY_WORKFLOW, instance=3, workflow=50)


def done(step: RescheduleStep) -> RescheduleOutcome:
    """Return its success."""
    return RescheduleOutcome(step, done=True, words="done")


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_done_is_not_done_again(tmp_path: Path, kept: bool) -> None:
    """A finished step, and a retried workflow by any of its runs, is settled; with a file also after a restart."""
    path = tmp_path / "a" / "b" if kept else None
    progress = RescheduleProgress(path, 1)
    progress.end(done(STEP))
    progress.end(done(OF_WORKFLOW))
    for again in (progress, RescheduleProgress(path, 1)) if kept else (progress,):
        assert again.settled(STEP)
        assert again.settled(replace(OF_WORKFLOW, instance=4))
        assert not again.settled(RESTART)
        assert again.unreported == [done(STEP), done(OF_WORKFLOW)]
    progress.mark_reported()
    assert progress.unreported == []


def test_a_report_is_made_once(tmp_path: Path) -> None:
    """Outcomes that were reported before a restart are not reported after it."""
    progress = RescheduleProgress(tmp_path / "p", 1)
    progress.end(done(STEP))
    progress.mark_reported()
    progress.end(done(RESTART))
    assert RescheduleProgress(tmp_path / "p", 1).unreported == [done(RESTART)]


def test_what_was_half_done_is_known_after_a_kill(tmp_path: Path) -> None:
    """An unfinished step is known until it ends, also for the next change; an incomplete line does no harm."""
    progress = RescheduleProgress(tmp_path / "p", 1)
    progress.begin(RESTART)
    with (tmp_path / "p").open("a") as file:
        file.write('{"ended": {"acti')
    assert RescheduleProgress(tmp_path / "p", 1).unfinished("a") == [RESTART]
    later = RescheduleProgress(tmp_path / "p", 2)
    assert later.unfinished("a") == [RESTART]
    assert later.unfinished("b") == []
    later.end(done(RESTART))
    assert RescheduleProgress(tmp_path / "p", 2).unfinished("a") == []
    later.begin(RESTART)
    later.drop(RESTART)
    assert RescheduleProgress(tmp_path / "p", 2).unfinished("a") == []
    assert RescheduleProgress(tmp_path / "p", 3).unfinished("a") == []


def test_the_next_change_begins_anew(tmp_path: Path) -> None:
    """A run that was retried after one change may be retried after another."""
    RescheduleProgress(tmp_path / "p", 1).end(done(STEP))
    assert not RescheduleProgress(tmp_path / "p", 2).settled(STEP)


def test_a_full_disk_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without disk space the progress is kept in memory, with a warning."""
    (tmp_path / "p").mkdir()
    progress = RescheduleProgress(tmp_path / "p", 1)
    progress.end(done(STEP))
    assert progress.settled(STEP)
    assert "not saved" in caplog.text
