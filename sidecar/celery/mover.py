"""Moves the tasks that wait in a datacenter's queues to the datacenters where they belong now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from celery import Celery

from sidecar.celery.broker import BrokerQueues
from sidecar.celery.live_workers import RecentWorkers, live_workers
from sidecar.celery.queue_names import QueueNames
from sidecar.celery.queued_task import Moved, QueuedTask
from sidecar.celery.router import Router
from sidecar.errors import NoDatacenter

_BATCH = 100
_REPLIES_S = 1.5

Pause = Callable[[float], None]


@dataclass(slots=True)
class MoveResult:
    """The result of moving a queue's tasks: how many waited, how many went to which queue, how many stay and why."""

    queue: str
    found: int
    moved: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        """Whether no task stays for want of workers or of an answer."""
        return not self.kept[_NOWHERE] and not self.kept[_NO_QUEUE]


_BELONGS = "belongs there"
_NOWHERE = "no datacenter may run it now"
_NO_QUEUE = "the queue of their datacenter does not exist"
_FOREIGN = "of another application"


class QueueMover:
    """Moves the tasks of an application, by the router's decisions; `datacenter` is the one that they leave.

    Tasks that were published without routing count as `application`'s, and are decided by their name. At most `rate`
    tasks are moved in a second.
    """

    def __init__(
        self,
        app: Celery,
        queues: BrokerQueues,
        router: Router,
        *,
        datacenter: str,
        rate: float,
        pause: Pause = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._queues = queues
        self._router = router
        self._names = QueueNames(router.settings.template)
        self._datacenter = datacenter
        self._rate = rate
        self._pause = pause
        self._clock = clock
        self._exist: set[str] = set()

    def inspect_workers(self) -> None:
        """Find the live workers, which the router needs."""
        replies: Mapping[str, list[dict[str, object]]] | None = self._app.control.inspect(
            timeout=_REPLIES_S
        ).active_queues()
        consumed = RecentWorkers(0.0).note(replies, 0.0)
        self._router.note_workers(live_workers(consumed, self._names, {*self._router.datacenters, self._datacenter}))

    def has_workers(self, queue: str) -> bool:
        """Return whether a live worker consumes the datacenter's queue."""
        return bool((self._router.workers.counts(queue) or {}).get(self._datacenter))

    def look(self, queue: str, limit: int) -> MoveResult:
        """Return which of the first `limit` tasks of a queue would be moved."""
        source = self._names.of(queue, self._datacenter)
        result = MoveResult(source, self._queues.depth(source))
        for task in self._queues.look(source, limit):
            result.moved.update(filter(None, [self._target(queue, task, result)]))
        return result

    def move(self, queue: str, limit: int, *, unacked: bool = False) -> MoveResult:
        """Move the tasks that wait now, at most `limit`; with `unacked` those that lost workers had received, too."""
        source = self._names.of(queue, self._datacenter)
        result = MoveResult(source, self._queues.depth(source))

        target = partial(self._target, queue, result=result)

        if unacked:
            restored = self._queues.restore(source, target)
            result.found += sum(restored.moved.values())
            result.moved.update(restored.moved)
        left = min(limit, result.found)
        begun, done = self._clock(), 0
        while left > 0:
            step = self._queues.move(source, target, min(_BATCH, left))
            result.moved.update(step.moved)
            went = sum(step.moved.values())
            left -= went + step.kept
            done += went
            if step.ended or _is_idle(step):
                break
            self._pause(max(0.0, done / self._rate - (self._clock() - begun)))
        return result

    def _target(self, queue: str, task: QueuedTask, result: MoveResult) -> str:
        application = self._router.settings.application
        if task.app not in {"", application}:
            result.kept[_FOREIGN] += 1
            return ""
        try:
            placement = self._router.place(task.queue or queue, task.name, task.key, task.instance or task.id)
        except NoDatacenter:
            result.kept[_NOWHERE] += 1
            return ""
        if placement.datacenter == self._datacenter:
            result.kept[_BELONGS] += 1
            return ""
        base = task.queue or queue
        name = self._names.of(base, placement.datacenter) if placement.datacenter else base
        if name not in self._exist and not self._queues.exists(name):
            result.kept[_NO_QUEUE] += 1
            return ""
        self._exist.add(name)
        return name


def _is_idle(step: Moved) -> bool:
    """Return whether a step found only messages that consumers took meanwhile."""
    return not step.moved and not step.kept


def summary(results: Iterable[MoveResult]) -> str:
    """Return the moves in words."""
    moved: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for result in results:
        moved.update(result.moved)
        kept.update(result.kept)
    went = ", ".join(f"{count:,} to {queue}" for queue, count in moved.items()) or "nothing moved"
    stays = "; ".join(f"{count:,} stay: {why}" for why, count in kept.items() if count)
    return f"{went}; {stays}" if stays else went
