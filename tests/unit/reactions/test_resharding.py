"""The `elasticjob` reaction, with a registry center of its own making; tests/elasticjob runs it with the real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause
from sidecar.elasticjob.model import ElasticJob
from sidecar.errors import ConfigError, ElasticJobUnavailable, TaskDeferred, TaskFailed
from sidecar.reactions import resharding
from sidecar.reactions.follow_up import ReactionContext
from sidecar.reactions.resharding import Resharding
from sidecar.reactions.settings import read_reactions
from sidecar.routing.candidates import Worker
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from tests.waiting import eventually

INSTANCES = {"a@-@1": Worker("a:1", metrics="dc1"), "b@-@1": Worker("b:1", metrics="dc2")}
DC2 = "default: {active: dc2, backups: [dc1]}\n"


class FakeRegistry:
    """Jobs, and how often resharding of each was requested; `follow` makes them follow."""

    def __init__(self, *names: str) -> None:
        self.requested: list[str] = []
        self.pushed: list[str] = []
        self.follow = False
        self.looked = 0
        self.found = {name: ElasticJob(name, INSTANCES, ("a@-@1", "a@-@1")) for name in names}

    def jobs(self) -> tuple[str, ...]:
        self.looked += 1
        return tuple(self.found)

    def job(self, name: str) -> ElasticJob | None:
        return self.found.get(name)

    def request_sharding(self, name: str) -> bool:
        self.requested.append(name)
        if self.follow:
            self.found[name] = replace(self.found[name], shards=("b@-@1", "b@-@1"))
        return True

    def forget_running(self, name: str, item: int) -> None:
        self.pushed.append(f"{name}/{item}")

    def elect(self, name: str) -> str:
        self.pushed.append(name)
        return "b@-@1"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    """Return the registry center that the reaction connects to."""
    made = FakeRegistry("report", "settle")

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[FakeRegistry]:
        yield made

    monkeypatch.setattr(resharding, "open_registry", opened)
    return made


def change(kind: EventKind = EventKind.SWITCH) -> Record:
    """Return a record of a change that happens now."""
    event = AuditEvent(kind=kind, text="dc1 → dc2", subjects=("default",))
    return Record(at_ns=time.time_ns(), source="file:x", cause=RecordCause.DOCUMENT, events=(event,))


def reaction(
    reports: Callable[[Record], None],
    *,
    document: str = DC2,
    settle_s: float = 0.0,
    keys: Mapping[str, object] | None = None,
) -> Resharding:
    """Return a reaction under a document."""
    entry = {"name": "shards", "elasticjob": "zookeeper://zk:2181/billing", "watch-for": "0", "rate": "1000"} | dict(
        keys or {}
    )
    (read,) = read_reactions([entry])
    state = State(parse_document(document.encode()), generation=1, now_ns=time.time_ns())
    return Resharding(read, ReactionContext(lambda: state, reports), settle_s=settle_s, every_s=0.02)


def run(react: Resharding, record: Record | None = None) -> None:
    """Let it react to a change."""
    record = record or change()
    react(record, record.events)


def test_jobs_with_shards_elsewhere_are_sharded_anew(registry: FakeRegistry) -> None:
    """Each is marked once, and the audit has how many, and the shards of each."""
    reports: list[Record] = []
    registry.follow = True
    run(reaction(reports.append, keys={"watch-for": "300ms"}))
    assert registry.requested == ["report", "settle"]
    assert registry.looked > 2
    (record,) = reports
    assert record.events[0].kind is EventKind.RESCHEDULED
    assert record.events[0].detail == {
        "app": "billing",
        "results": [{"done": True, "result": "sharding requested", "count": 2}],
    }
    assert record.changes == ("job report: shards 2 to dc2", "job settle: shards 2 to dc2")


def test_a_job_whose_shards_stay_is_marked_three_times(registry: FakeRegistry) -> None:
    """Its instances may follow a sidecar that is behind, or none: it is not sharded again and again."""
    run(reaction(lambda _: None, keys={"jobs": ["settle"], "watch-for": "500ms"}))
    assert registry.requested == ["settle"] * 3


def test_a_job_that_is_to_be_sharded_already_is_left_alone(registry: FakeRegistry) -> None:
    """Unless running shards are not to be waited for."""
    busy = replace(registry.found["settle"], pending=True, running=frozenset({0}), leader="a@-@1")
    registry.found = {"settle": busy}
    run(reaction(lambda _: None))
    assert registry.requested == []
    run(reaction(lambda _: None, keys={"running": "true"}))
    assert registry.pushed == ["settle/0", "settle"]


def test_what_is_in_its_place_is_left_alone(registry: FakeRegistry) -> None:
    """The application and its jobs are those of the document."""
    run(reaction(lambda _: None, document="default: dc2\napps: {billing: dc1}\n"))
    assert registry.requested == []
    run(
        reaction(
            lambda _: None,
            document="default: dc1\napps: {reports: {active: dc1, jobs: {settle: dc2}}}\n",
            keys={"app": "reports"},
        )
    )
    assert registry.requested == ["settle"]


def test_a_failure_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the registry center."""

    def refused(*_: object, **__: object) -> None:
        raise ElasticJobUnavailable("zookeeper://zk:2181/billing does not answer in 5 s")

    monkeypatch.setattr(resharding, "open_registry", refused)
    with pytest.raises(TaskFailed, match="zk:2181/billing does not answer"):
        run(reaction(lambda _: None))


@pytest.mark.usefixtures("registry")
def test_it_ends_with_the_sidecar() -> None:
    """The change is continued after the next start."""
    react = reaction(lambda _: None, settle_s=600.0)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            run(react)
        except TaskDeferred as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: react.counts is not None, "it works", within=30)
    react.stop()
    thread.join(20)
    assert raised
    assert react.counts is None


def test_a_newer_change_ends_the_work_on_an_older_one(registry: FakeRegistry) -> None:
    """The newer one looks at all shards itself."""
    react = reaction(lambda _: None)
    older, newer = change(), change(EventKind.RAMP_STEP)
    react.notify(newer)
    run(react, older)
    assert registry.looked == 0
    run(react, newer)
    assert registry.looked == 1


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"elasticjob": "zk:2181/billing"}, "of ElasticJob, the path is its namespace"),
        ({"elasticjob": "zookeeper://zk:2181"}, "no path to a node"),
        ({"jobs": []}, "jobs: expected a list of texts"),
        ({"rate": "0"}, "rate: found '0'"),
        ({"rate": "fast"}, "rate: found 'fast'"),
        ({"running": "maybe"}, "running: found 'maybe'"),
        ({"digest-file": "/nonexistent"}, "digest-file: /nonexistent"),
        ({"job": "settle"}, "found 'job': did you mean jobs?"),
    ],
)
def test_bad_settings_are_refused(keys: dict[str, Any], expected: str) -> None:
    """The error names the reaction and the key."""
    with pytest.raises(ConfigError, match=r"reactions: shards|reactions\[0\]") as refused:
        reaction(lambda _: None, keys=keys)
    assert expected in str(refused.value)


def test_the_password_is_read_at_each_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is replaced is used; one that has gone is a failure."""
    secret = tmp_path / "digest"
    secret.write_text("jobs:one\n")
    react = reaction(lambda _: None, keys={"digest-file": str(secret)})
    seen: list[str] = []

    @contextmanager
    def opened(*_: object, digest: str, **__: object) -> Iterator[FakeRegistry]:
        seen.append(digest)
        yield FakeRegistry()

    monkeypatch.setattr(resharding, "open_registry", opened)
    run(react)
    secret.write_text("jobs:two\n")
    run(react)
    assert seen == ["jobs:one", "jobs:two"]
    secret.unlink()
    with pytest.raises(TaskFailed):
        run(react)
