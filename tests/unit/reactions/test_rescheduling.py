"""A `powerjob` reaction: what it does about a change, against a PowerJob that answers as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause
from sidecar.counters import RescheduleCounts
from sidecar.errors import TaskDeferred, TaskFailed
from sidecar.powerjob.finder import RescheduleAction, RescheduleStep
from sidecar.powerjob.model import InstanceStatus
from sidecar.powerjob.progress import RescheduleProgress
from sidecar.reactions.follow_up import ReactionContext
from sidecar.reactions.rescheduling import Rescheduling
from sidecar.reactions.runner import Reactions
from sidecar.reactions.settings import read_reactions
from sidecar.routing.document import parse_document
from sidecar.routing.model import RoutingDocument
from sidecar.routing.state import State
from tests.unit.powerjob.fake import NO_WORKER, FakePowerJob
from tests.unit.reactions.test_runner import Claims
from tests.waiting import eventually

DC1, DC2 = "10.1.0.1:1", "10.2.0.1:1"
SWITCH = AuditEvent(kind=EventKind.SWITCH, text="dc1 → dc2", subjects=("default",), before="dc1", after="dc2")
RETURN = replace(SWITCH, kind=EventKind.RETURN)
RESTART = RescheduleStep(
    action=RescheduleAction.RESTART,
    app="billing",
    instance=1,
    job=1,
    job_name="",
    workflow=None,
    worker=DC1,
    why="moved",
)


@pytest.fixture
def fake() -> Iterator[FakePowerJob]:
    """Run a PowerJob with a worker in each of two datacenters."""
    with FakePowerJob() as running:
        running.worker(DC1, "dc1")
        running.worker(DC2, "dc2")
        yield running


def document(text: str) -> RoutingDocument:
    """Return what a text says."""
    return parse_document(text.encode(), max_bytes=1000)


def change(event: AuditEvent = SWITCH) -> Record:
    """Return a change of just now."""
    return Record(at_ns=time.time_ns(), source="fake:", cause=RecordCause.DOCUMENT, events=(event,), revision="r")


class Site:
    """A reaction and what it reports; `active` is where work goes now."""

    def __init__(
        self,
        fake: FakePowerJob,
        *,
        state_dir: Path | None = None,
        claims: Claims | None = None,
        settle_s: float = 0,
        **said: str,
    ) -> None:
        tree: dict[str, object] = {"name": "back", "powerjob": fake.url, "apps": ["billing"], "rate": "1000"}
        tree |= {"watch-for": "0", **{key.replace("_", "-"): text for key, text in said.items()}}
        (reaction,) = read_reactions([tree])
        self.active = "dc2"
        self.reports: list[Record] = []
        self.reacting = Rescheduling(
            reaction,
            ReactionContext(
                state=lambda: State(document(self.active), 1, time.time_ns()),
                report=self.reports.append,
                claims=claims,
                state_dir=state_dir,
            ),
            settle_s=settle_s,
            every_s=0.02,
        )

    def react(self, record: Record | None = None) -> None:
        """React to a change."""
        record = record or change()
        self.reacting(record, record.events)

    @contextmanager
    def at_work(self, record: Record) -> Iterator[list[object]]:
        """React on another thread; yield what it ended with, None where it was done."""
        ended: list[object] = []

        def work() -> None:
            try:
                ended.append(self.react(record))  # type: ignore[func-returns-value]  # its end counts
            except (TaskFailed, TaskDeferred) as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield ended
        finally:
            self.reacting.stop()
            thread.join(20)


def test_progress_is_shown_while_it_works(fake: FakePowerJob) -> None:
    """Found, retried, stopped and waiting are counted as they happen, and nothing is shown between changes."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    fake.instance(2, InstanceStatus.RUNNING, taskTrackerAddress=DC1)
    fake.job(3, designatedWorkers=DC1)
    fake.instance(3, InstanceStatus.FAILED, NO_WORKER, job=3)
    site = Site(fake, watch_for="1h", running="true")
    assert site.reacting.counts is None
    wanted = RescheduleCounts(found=3, retried=2, stopped=1, waiting=1)
    with site.at_work(change()):
        eventually(lambda: site.reacting.counts == wanted, "all is counted")
    assert site.reacting.counts is None


def test_what_was_moved_is_reported(fake: FakePowerJob) -> None:
    """A record with the counts as its event and a line for each run; a second change finds nothing to do."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    site = Site(fake)
    site.react()
    (report,) = site.reports
    results = [{"done": True, "result": "retried", "count": 1}]
    assert report.events == (
        AuditEvent(
            kind=EventKind.RESCHEDULED,
            text="billing: 1 retried",
            detail={"app": "billing", "results": results},
            subjects=("billing",),
        ),
    )
    assert report.changes == ("run 1 of job 1 (job-1): retried",)
    assert (report.cause, report.source, len(report.revision)) == (RecordCause.REACTION, "fake:", 12)
    site.react()
    assert len(site.reports) == 1


def test_what_failed_long_before_the_change_stays(fake: FakePowerJob) -> None:
    """`since` says how long before the change the outage may have begun."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER, gmtModified=round((time.time() - 100) * 1000))
    Site(fake, since="10s").react()
    assert fake.named("retryInstance") == 0
    Site(fake, since="1000s").react()
    assert fake.named("retryInstance") == 1


@pytest.mark.parametrize(
    ("running", "event", "stopped"),
    [("true", SWITCH, 1), ("frequent", SWITCH, 0), ("false", SWITCH, 0), ("true", RETURN, 0)],
)
def test_running_work_is_moved_only_on_request_and_where_a_datacenter_is_left(
    fake: FakePowerJob, running: str, event: AuditEvent, stopped: int
) -> None:
    """A return leaves a healthy datacenter: runs there may finish."""
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=DC1)
    Site(fake, running=running).react(change(event))
    assert fake.named("stopInstance") == stopped
    assert fake.named("retryInstance") == stopped


def test_what_powerjob_notices_late_is_brought_back_too(fake: FakePowerJob) -> None:
    """Runs are searched for until `watch-for` is over, and each is retried once."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    site = Site(fake, watch_for="1h")
    with site.at_work(change()):
        eventually(lambda: fake.named("retryInstance") == 1, "the first")
        fake.instances[1]["status"] = int(InstanceStatus.FAILED)
        fake.instance(2, InstanceStatus.FAILED, NO_WORKER)
        eventually(lambda: fake.named("retryInstance") == 2, "the second")
        looks = fake.named("queryInstance")
        eventually(lambda: fake.named("queryInstance") > looks + 2, "more looks")
        assert fake.named("retryInstance") == 2
    assert [report.events[0].text for report in site.reports] == ["billing: 2 retried"]


def test_a_retry_that_came_too_early_is_tried_again(fake: FakePowerJob) -> None:
    """PowerJob's server may follow the change later than this sidecar; attempts are bounded."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    fake.instance(2, InstanceStatus.FAILED, NO_WORKER)
    fake.retried = {1: [(InstanceStatus.FAILED, NO_WORKER)] * 9, 2: [(InstanceStatus.FAILED, NO_WORKER)]}
    site = Site(fake, watch_for="1h")
    with site.at_work(change()):
        eventually(lambda: fake.instances[2]["status"] == InstanceStatus.WAITING_WORKER, "the second one's success")
        eventually(lambda: fake.named("retryInstance") == 5, "three attempts of the first one")
        looks = fake.named("queryInstance")
        eventually(lambda: fake.named("queryInstance") > looks + 2, "more looks")
    assert fake.named("retryInstance") == 5
    words = "billing: 1 retried; 1 not: retried, but there is still no worker for it"
    assert [report.events[0].text for report in site.reports] == [words]


def test_a_newer_change_does_not_wait(fake: FakePowerJob) -> None:
    """The wait for an older change ends: the newer one searches for the same."""
    site = Site(fake, watch_for="1h")
    with site.at_work(change()) as ended:
        eventually(lambda: fake.named("queryInstance"), "a look")
        assert ended == []
        site.reacting.notify(change())
        eventually(lambda: ended == [None], "its end")


def test_of_two_changes_the_newer_one_is_acted_on(fake: FakePowerJob) -> None:
    """By the newer routes, and including the running work that the older change was to move."""
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=DC1)
    site = Site(fake, running="true")
    older, newer = change(), replace(change(RETURN), at_ns=time.time_ns() + 1)
    site.reacting.notify(newer)
    site.react(older)
    assert fake.calls == []
    site.react(newer)
    assert fake.named("stopInstance") == 1


def test_what_moves_waits_until_all_follow(fake: FakePowerJob) -> None:
    """A retry before PowerJob's own sidecar has heard of the change would go the old way."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    site = Site(fake, settle_s=0.5)
    record = change()
    site.react(record)
    assert time.time_ns() - record.at_ns >= 0.5e9
    assert fake.named("retryInstance") == 1


def test_a_sidecar_that_ends_goes_on_after_its_restart(fake: FakePowerJob, tmp_path: Path) -> None:
    """It continues behind its last step, and reports each run once."""
    record = change()
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    first = Site(fake, state_dir=tmp_path, watch_for="1h")
    with first.at_work(record) as ended:
        eventually(lambda: fake.named("retryInstance") == 1, "the first")
        first.reacting.stop()
        eventually(lambda: ended, "its end")
    assert isinstance(ended[0], TaskDeferred)
    fake.instances[1] |= {"status": int(InstanceStatus.FAILED), "result": NO_WORKER}
    fake.instance(2, InstanceStatus.FAILED, NO_WORKER)
    second = Site(fake, state_dir=tmp_path)
    second.react(record)
    assert fake.named("retryInstance") == 2
    assert [report.events[0].text for report in (*first.reports, *second.reports)] == ["billing: 1 retried"] * 2


def test_what_was_stopped_is_retried_after_a_kill(
    fake: FakePowerJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two calls nothing is lost."""
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=DC1)
    record = change()
    real = fake.answer

    def dying(call: str, given: dict[str, Any]) -> object:
        if call == "retryInstance":
            raise KeyError(call)
        return real(call, given)

    monkeypatch.setattr(fake, "answer", dying)
    with pytest.raises(TaskFailed):
        Site(fake, state_dir=tmp_path, running="true").react(record)
    assert fake.instances[1]["status"] == InstanceStatus.STOPPED
    monkeypatch.setattr(fake, "answer", real)
    site = Site(fake, state_dir=tmp_path, running="true")
    site.react(record)
    assert fake.instances[1]["status"] == InstanceStatus.WAITING_WORKER
    assert [report.events[0].text for report in site.reports] == ["billing: 1 stopped and retried"]


@pytest.mark.parametrize("where", [DC1, DC2])
def test_what_goes_on_already_is_not_stopped_once_more(fake: FakePowerJob, tmp_path: Path, where: str) -> None:
    """After a kill before the stop, or after the retry, the run is checked again, not assumed to be stopped."""
    record = change()
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=DC1)
    RescheduleProgress(tmp_path / "powerjob" / "back", record.at_ns).begin(RESTART)
    fake.instances[1]["taskTrackerAddress"] = where
    Site(fake, state_dir=tmp_path, running="true").react(record)
    assert fake.named("stopInstance") == (where == DC1)


def test_what_cannot_go_on_is_told_once(fake: FakePowerJob, tmp_path: Path) -> None:
    """A run whose job is gone is in the report, and holds up nothing else."""
    fake.instance(1, InstanceStatus.STOPPED)
    fake.instance(2, InstanceStatus.FAILED, NO_WORKER)
    RescheduleProgress(tmp_path / "powerjob" / "back", 1).begin(RESTART)
    fake.refused.add("retryInstance 1")
    site = Site(fake, state_dir=tmp_path)
    site.react()
    (report,) = site.reports
    assert "1 retried; 1 not: stopped, but not retried" in report.events[0].text
    site.react()
    assert len(site.reports) == 1


def test_a_powerjob_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """An unavailable PowerJob is a failure that is retried; the password is read for each attempt, and never shown."""
    secret = tmp_path / "password"
    secret.write_text("wrong-one\n")
    with FakePowerJob("s3cret") as fake:
        fake.worker(DC2, "dc2")
        fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
        site = Site(fake, password_file=str(secret))
        with pytest.raises(TaskFailed, match="INCORRECT_PASSWORD") as failed:
            site.react()
        assert not failed.value.final
        assert "wrong-one" not in str(failed.value)
        secret.write_text("s3cret\n")
        site.react()
        assert fake.named("retryInstance") == 1
    with pytest.raises(TaskFailed, match="does not answer"):
        site.react()


def test_servers_that_know_no_worker_are_told(fake: FakePowerJob) -> None:
    """Of a cluster each server knows the workers that are connected to it: perhaps not all servers are named."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    fake.workers.clear()
    with pytest.raises(TaskFailed, match="billing: 1 waiting, and the servers know no workers"):
        Site(fake).react()
    fake.worker(DC1, "dc1")
    Site(fake).react()
    assert fake.named("retryInstance") == 0


def test_its_claim_is_kept_while_it_is_at_it(fake: FakePowerJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another sidecar has taken over all the same, this one lets it."""
    monkeypatch.setattr("sidecar.reactions.claim_renewal._RENEW_S", 0.0)
    claims = Claims(True)
    site = Site(fake, claims=claims, watch_for="1h")
    with site.at_work(change()) as ended:
        eventually(lambda: fake.named("queryInstance") > 2, "looks")
        claims.answer = False
        eventually(lambda: ended, "its end")
    assert str(ended[0]) == "another sidecar has taken over"


def test_it_reports_through_the_audit_of_its_sidecar(fake: FakePowerJob) -> None:
    """Put together as in a sidecar: a change goes in, the report comes out, and it ends in time."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    tree = [{"name": "back", "powerjob": fake.url, "apps": ["billing"], "rate": "1000"}]
    reports: list[Record] = []
    with ExitStack() as stack:
        reactions = Reactions(
            tree,
            source="fake:",
            state_dir=None,
            state=lambda: State(document("dc2"), 1, time.time_ns()),
            report=reports.append,
        )
        reactions.start()
        stack.callback(reactions.stop, 20)
        reactions.dispatch(replace(change(), at_ns=time.time_ns() - 10 * 10**9))
        eventually(lambda: fake.named("retryInstance"), "the retry")
    assert [report.events[0].kind for report in reports] == [EventKind.RESCHEDULED]
