"""Reactions alone, and for a fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.audit.database import AuditDatabase
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record
from sidecar.errors import DependencyUnavailable, TaskDeferred, TaskFailed
from sidecar.reactions import runner
from sidecar.reactions.runner import Reactions
from sidecar.reactions.settings import LEASE_S, Reaction, read_reactions
from tests.unit.reactions.test_messages import RECORD
from tests.waiting import eventually

HOOK = {"name": "chat", "webhook": "https://h/"}


class Receiver:
    """What a reaction does, in a test."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.fail: TaskFailed | None = None

    def __call__(self, reaction: Reaction, record: Record, events: tuple[AuditEvent, ...]) -> None:
        assert [event.kind for event in events] == [EventKind.SWITCH]
        if self.fail is not None:
            raise self.fail
        self.got.append((reaction.name, record.revision))


class Claims(AuditDatabase):
    """A database that answers as a test says."""

    def __init__(self, answer: bool | TaskDeferred) -> None:
        self.answer = answer
        self.ended: list[bool] = []

    def claim(self, record: Record, reaction: str, lease_s: float) -> bool:  # noqa: ARG002 - all are alike
        if isinstance(self.answer, TaskDeferred):
            raise self.answer
        return self.answer

    def release(self, record: Record, reaction: str, *, done: bool) -> None:  # noqa: ARG002 - all are alike
        self.ended.append(done)


@contextmanager
def reacting(receiver: Receiver, claims: AuditDatabase | None, *tree: object) -> Iterator[Reactions]:
    """Run reactions."""
    reactions = Reactions([*tree], source="file:x", state_dir=None, claims=claims, perform=receiver)
    reactions.start()
    try:
        yield reactions
    finally:
        reactions.stop(5)


def change(age_s: float = 0) -> Record:
    """Return a switch so many seconds ago."""
    return replace(RECORD, at_ns=time.time_ns() - round(age_s * 1e9), revision="r")


def test_a_claim_is_renewed_while_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that takes longer than a lease keeps its claim; after it nothing is renewed."""
    monkeypatch.setattr(runner, "_RENEW_S", 0.01)
    claims, renewed = Claims(True), threading.Event()
    asked: list[float] = []

    def claim(_record: Record, _reaction: str, lease_s: float) -> bool:
        asked.append(lease_s)
        if len(asked) == 4:
            renewed.set()
        return True

    monkeypatch.setattr(claims, "claim", claim)
    with runner._renewed(claims, RECORD, read_reactions([HOOK])[0]):
        assert renewed.wait(5)
    assert set(asked) == {LEASE_S}
    assert not [one for one in threading.enumerate() if one.name == "renew-claim"]


def test_each_reaction_gets_what_it_wants() -> None:
    """Two reactions of one sidecar get the same change; a third one, for other events, does not."""
    receiver = Receiver()
    with reacting(receiver, None, HOOK, HOOK | {"name": "mail"}, HOOK | {"name": "no", "on": ["refused"]}) as reactions:
        reactions.dispatch(change())
        eventually(lambda: len(receiver.got) == 2, "both")
    assert sorted(receiver.got) == [("chat", "r"), ("mail", "r")]
    assert [standing.done for standing in (task() for task in reactions.tasks)] == [1, 1, 0]


def test_for_a_fleet_it_acts_with_a_claim_only() -> None:
    """Who has the claim acts and ends it; who has not is done without."""
    for mine, acted in ((True, [("chat", "r")]), (False, [])):
        receiver, claims = Receiver(), Claims(mine)
        with reacting(receiver, claims, HOOK) as reactions:
            reactions.dispatch(change())
            eventually(lambda: reactions.tasks[0]().done, "the end")
        assert (receiver.got, claims.ended) == (acted, [True] * len(acted))


@pytest.mark.parametrize(("final", "ended"), [(True, True), (False, False)])
def test_a_failure_passes_the_claim_on_unless_it_is_final(final: bool, ended: bool) -> None:
    """After a failure another sidecar may try; after a final one none does."""
    receiver, claims = Receiver(), Claims(True)
    receiver.fail = TaskFailed("it failed", final=final)
    with reacting(receiver, claims, HOOK) as reactions:
        reactions.dispatch(change())
        eventually(lambda: claims.ended, "the end of the claim")
    assert claims.ended[0] is ended


def test_a_command_that_failed_is_not_run_elsewhere() -> None:
    """Once means once in the whole fleet."""
    receiver, claims = Receiver(), Claims(True)
    receiver.fail = TaskFailed("it exited with 1")
    with reacting(receiver, claims, {"name": "chat", "command": ["x"]}) as reactions:
        reactions.dispatch(change())
        eventually(lambda: reactions.tasks[0]().failed, "the failure")
    assert claims.ended == [True]


def test_while_the_database_is_away_an_alarm_goes_out_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute a webhook is called without a claim, as twice is better than never; a command waits."""
    receiver = Receiver()
    monkeypatch.setattr(runner, "_CLAIM_PATIENCE_S", 1.5)
    command = {"name": "run", "command": ["x"]}
    with reacting(receiver, Claims(DependencyUnavailable("away")), HOOK, command) as reactions:
        reactions.dispatch(change())
        assert receiver.got == []
        eventually(lambda: receiver.got, "the alarm")
        assert [standing.waiting for standing in (task() for task in reactions.tasks)][1] == 1
    assert receiver.got == [("chat", "r")]


def test_what_another_one_is_at_is_never_told_twice() -> None:
    """However old the change is: as long as another sidecar holds the claim, this one waits."""
    receiver, claims = Receiver(), Claims(TaskDeferred("another sidecar is reacting"))
    with reacting(receiver, claims, HOOK) as reactions:
        reactions.dispatch(change(age_s=3000))
        eventually(lambda: reactions.tasks[0]().error == "another sidecar is reacting", "a look")
        assert receiver.got == []
        claims.answer = True
        eventually(lambda: receiver.got, "its turn")


def test_a_state_directory_is_not_needed(tmp_path: Path) -> None:
    """Without one nothing is written anywhere."""
    with reacting(Receiver(), None, HOOK) as reactions:
        reactions.dispatch(change())
        eventually(lambda: reactions.tasks[0]().done, "the end")
    assert not list(tmp_path.iterdir())


def test_many_hooks_end_in_time() -> None:
    """`stop` shares out its time."""
    with ExitStack() as stack:
        stack.enter_context(reacting(Receiver(), None, *({**HOOK, "name": f"h{number}"} for number in range(20))))
