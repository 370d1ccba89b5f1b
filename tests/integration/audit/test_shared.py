"""The audit of a fleet in one database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import inspect

from sidecar.audit.anchor import anchor_of
from sidecar.audit.database import AuditDatabase, _now_ns
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause
from sidecar.errors import ConfigError, DependencyUnavailable, TaskDeferred, TaskFailed
from sidecar.trust.anchor_key import open_public_key
from tests.integration.audit.conftest import Postgres
from tests.ssh_keys import Signer
from tests.unit.audit.anchors import anchored
from tests.waiting import eventually

MINUTE_NS = 60 * 10**9
NOON_NS = 1_800_000_000 * 10**9


def applied(name: str, at_ns: int, *, cause: RecordCause = RecordCause.DOCUMENT, due_ns: int | None = None) -> Record:
    """Return the record of a document that took effect."""
    event = AuditEvent(kind=EventKind.APPLIED, text=f"to {name} → 数据中心")
    return Record(
        at_ns=at_ns, source="file:x", cause=cause, events=(event,), revision=name, changed=name, due_ns=due_ns
    )


@contextmanager
def fleet(url: str, count: int) -> Iterator[list[AuditDatabase]]:
    """Open a database as several sidecars."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(AuditDatabase(url, sidecar=f"s{number}"))) for number in range(count)]


def rows(shared: AuditDatabase) -> list[tuple[str, int]]:
    """Return the changes in the order of the database, and how many saw each."""
    return [(record.revision, count) for record, count in shared.newest_first(1000)][::-1]


def together(*work: Callable[[], None]) -> None:
    """Do several things at once; raise what one of them raises."""
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result(60)


def add_all(shared: AuditDatabase, records: list[Record]) -> None:
    """Add records, each again until it is taken, as a follower does."""
    for record in records:
        while True:
            try:
                shared.add(record)
                break
            except TaskFailed:
                time.sleep(0.05)


def test_each_change_is_there_once_and_in_order(url: str) -> None:
    """Four sidecars record the same changes at once, each by its own clock: each change is one row."""
    names = ["a", "b", "a", "b", "c", "a"]
    with fleet(url, 4) as sidecars:

        def told(index: int) -> Callable[[], None]:
            times = [NOON_NS + step * 10**9 + index * 10**6 for step in range(len(names))]
            return lambda: add_all(sidecars[index], [applied(*pair) for pair in zip(names, times, strict=True)])

        together(*(told(index) for index in range(4)))
        assert rows(sidecars[0]) == [(name, 4) for name in names]


def test_what_is_told_twice_is_there_once(url: str) -> None:
    """A sidecar that died before it saved its position stores a change again, which changes nothing."""
    with fleet(url, 1) as (one,):
        for _ in range(3):
            one.add(applied("a", NOON_NS))
        one.add(applied("b", NOON_NS + 1))
        one.add(applied("a", NOON_NS + 2))
        assert rows(one) == [("a", 1), ("b", 1), ("a", 1)]


def test_one_that_was_cut_off_tells_of_no_new_change(url: str) -> None:
    """A sidecar that gets the newest document hours after the others, or that is new, adds no row."""
    with fleet(url, 2) as (one, other):
        for step, name in enumerate("abc"):
            one.add(applied(name, NOON_NS + step))
        other.add(applied("c", NOON_NS + 300 * MINUTE_NS))
        assert rows(one) == [("a", 1), ("b", 1), ("c", 2)]


def test_the_same_again_later_is_another_change(url: str) -> None:
    """The same document an hour later is another row, also if another sidecar sees it first."""
    with fleet(url, 2) as (one, other):
        for shared in (one, other):
            for step, name in enumerate("ab"):
                shared.add(applied(name, NOON_NS + step))
        for shared in (other, one):
            shared.add(applied("a", NOON_NS + 60 * MINUTE_NS))
        assert rows(one) == [("a", 2), ("b", 2), ("a", 2)]


def test_steps_of_the_clock_are_known_by_their_time(url: str) -> None:
    """However late a sidecar records a ramp step or a drill, it is the same change."""
    with fleet(url, 2) as (one, other):
        for shared, late in ((one, 0), (other, 100 * MINUTE_NS)):
            for step in range(3):
                shared.add(applied("r", NOON_NS + step + late, cause=RecordCause.CLOCK, due_ns=step))
        assert rows(one) == [("r", 2)] * 3


def test_one_sidecar_reacts(url: str) -> None:
    """Of many concurrent claims one succeeds, and none after it; another reaction is claimed separately."""
    record = applied("a", NOON_NS)
    with fleet(url, 5) as sidecars:
        for shared in sidecars:
            shared.add(record)
        mine: list[AuditDatabase] = []

        def ask(shared: AuditDatabase) -> None:
            try:
                if shared.claim(record, "chat", 60):
                    mine.append(shared)
            except TaskDeferred:
                pass

        together(*(lambda shared=shared: ask(shared) for shared in sidecars))
        (holder,) = mine
        other = next(shared for shared in sidecars if shared is not holder)
        with pytest.raises(TaskDeferred, match="another sidecar is reacting"):
            other.claim(record, "chat", 60)
        assert holder.claim(record, "chat", 60)
        holder.release(record, "chat", done=True)
        assert [shared.claim(record, "chat", 60) for shared in sidecars] == [False] * 5
        assert other.claim(record, "mail", 60)


def test_a_claim_passes_on(url: str) -> None:
    """When the holder fails or dies another sidecar takes over; a late release does not end its claim."""
    record = applied("a", NOON_NS)
    with fleet(url, 3) as (one, two, three):
        for shared in (one, two, three):
            shared.add(record)
        assert one.claim(record, "chat", 60)
        one.release(record, "chat", done=False)
        assert two.claim(record, "chat", 0.0)
        assert three.claim(record, "chat", 60)
        two.release(record, "chat", done=True)
        with pytest.raises(TaskDeferred):
            one.claim(record, "chat", 60)


def test_claims_are_by_the_clock_of_the_database(url: str) -> None:
    """The time that a database gives is now, whatever the clocks of the sidecars say."""
    with fleet(url, 1) as (one,), one._transaction() as connection:
        before = time.time_ns()
        assert abs(_now_ns(connection) - before) < 60 * 10**9
        first = _now_ns(connection)
        eventually(lambda: _now_ns(connection) > first, "a later time within the transaction")


def test_a_sidecar_whose_clock_is_ahead_takes_no_claim(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second sidecar that is two minutes ahead does not react again: its clock does not count."""
    record = applied("a", NOON_NS)
    with fleet(url, 2) as (one, other):
        for shared in (one, other):
            shared.add(record)
        assert one.claim(record, "chat", 30)
        now = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: now() + 120 * 10**9)
        with pytest.raises(TaskDeferred, match="another sidecar is reacting"):
            other.claim(record, "chat", 30)


def test_a_change_that_is_not_there_yet_cannot_be_claimed(url: str) -> None:
    """A reaction waits until its change is in the database."""
    with fleet(url, 1) as (one,):
        one.add(applied("a", NOON_NS))
        with pytest.raises(DependencyUnavailable, match="does not have the change"):
            one.claim(applied("b", NOON_NS + 1), "chat", 60)


def test_an_outage_ends(postgres: Postgres) -> None:
    """While the database is down the error has no secret; afterwards the same object works again."""
    with fleet(postgres.database("outage"), 1) as (one,):
        one.add(applied("a", NOON_NS))
        postgres.stop()
        try:
            with pytest.raises(TaskFailed, match="the shared audit cannot be written"):
                one.add(applied("b", NOON_NS + 1))
            with pytest.raises(DependencyUnavailable):
                one.claim(applied("a", NOON_NS), "chat", 60)
        finally:
            postgres.start()
        add_all(one, [applied("b", NOON_NS + 1)])
        assert rows(one) == [("a", 1), ("b", 1)]


def test_many_begin_at_once(url: str) -> None:
    """Concurrent first connections create the tables once."""
    start = threading.Barrier(4)
    with fleet(url, 4) as sidecars:

        def begin(shared: AuditDatabase) -> None:
            start.wait(10)
            add_all(shared, [applied("a", NOON_NS)])

        together(*(lambda shared=shared: begin(shared) for shared in sidecars))
        assert rows(sidecars[0]) == [("a", 4)]


@pytest.mark.parametrize("wrong", ["nonsense", "nosuch://h/db"])
def test_a_wrong_url_is_told_at_the_start(wrong: str) -> None:
    """An invalid database URL is a configuration error."""
    with pytest.raises(ConfigError, match="expected a URL such as postgresql"):
        AuditDatabase(wrong, sidecar="s")


def test_anchors_are_beside_the_changes(url: str, tmp_path: Path) -> None:
    """Each head is there once, by key; the table is added to an older schema, and only by sidecars with a key."""
    keys = [Signer(tmp_path, name).key for name in ("one", "other")]
    ours, theirs = (anchored(tmp_path / f"audit-{key.name}", key, 2) for key in keys)
    one, other = (open_public_key(key.with_suffix(".pub"), "").fingerprint for key in keys)
    with fleet(url, 2) as (first, second):
        first.add(applied("a", NOON_NS))
        assert "dc_sidecar_anchors" not in inspect(first._engine).get_table_names()
        for number, anchor in ((1, ours[0]), (2, ours[1]), (3, ours[1])):
            first.add(applied("b", NOON_NS + number), anchor)
        second.add(applied("b", NOON_NS + 1), theirs[0])
        assert [anchor_of(json.loads(text)) for text in second.anchors(one)] == ours
        assert [anchor_of(json.loads(text)) for text in second.anchors(other)] == theirs[:1]
