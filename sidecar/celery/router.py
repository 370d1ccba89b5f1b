"""Decides in which datacenter a task runs: from memory while that is valid, else by a call to the sidecar."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.celery.live_workers import LiveWorkers
from sidecar.celery.outage_log import OutageLog
from sidecar.celery.route_view import AnswerKey, RouteView
from sidecar.celery.settings import CelerySettings, OnNoWorker, OnOutage
from sidecar.client import FilterResult, Reason, RouteUpdate, RoutingClient
from sidecar.errors import NoDatacenter, SidecarError

_SHORT_WAIT_S = 0.005


@dataclass(frozen=True, slots=True)
class Placement:
    """The datacenter of a task, "" for any, and what the sidecar was asked for it."""

    datacenter: str
    job: str
    instance: str


class Router:
    """Places tasks. Never waits longer than the settings' `timeout`, and raises NoDatacenter only where they say so.

    `client` returns the sidecar's client, None in a process that must not have one; it calls `note_routes`. Without
    `dispatch` no task is sent by the answers.
    """

    def __init__(
        self,
        settings: CelerySettings,
        client: Callable[[], RoutingClient | None],
        *,
        dispatch: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        assert isinstance(settings.on_outage, OnOutage)
        self.settings = settings
        self.log = OutageLog(settings.on_outage.value)
        self.workers = LiveWorkers.NONE
        self.down = False
        """Whether the sidecar did not answer: it is not called until `up` is called."""
        self._client = client
        self._dispatch = dispatch
        self._clock = clock
        self._wait = wait
        self._view: RouteView | None = None
        self._last: dict[AnswerKey, FilterResult] = {}
        self._confirmed = clock()
        self._waited = False

    @property
    def view(self) -> RouteView | None:
        """The latest routes, None before the first."""
        return self._view

    @property
    def datacenters(self) -> frozenset[str]:
        """The datacenters that are known."""
        view = self._view
        own = self.settings.datacenter
        known = view.datacenters if view is not None else frozenset()
        return known if not own or own in known else known | {own}

    def note_routes(self, update: RouteUpdate, epoch: int | None) -> None:
        """Take over new routes; `epoch` is None for saved ones."""
        before, self._view = self._view, RouteView(self.settings.application, update, epoch)
        if before is not None and before.answers:
            self._last = before.answers
        if epoch is not None:
            self._waited = True
            self.up()

    def note_workers(self, workers: LiveWorkers) -> None:
        """Take over the live workers."""
        if workers != self.workers:
            self.workers = workers
            if self._view is not None:
                self._last = self._view.answers or self._last
                self._view.forget_answers()

    def up(self) -> None:
        """Note that the sidecar answers."""
        self.down = False
        self._confirmed = self._clock()
        self.log.recovered()

    def confirm(self) -> None:
        """Note that the answers in memory are valid now."""
        self._confirmed = self._clock()

    def place(self, queue: str, task: str, key: str, task_id: str) -> Placement:
        """Return where a task of a queue runs; `key` is the key of its shares, "" for the task's name."""
        view, client = self._view, self._client()
        if view is None or (client is not None and view.epoch != client.epoch and not self._waited):
            view = self._first_routes(client)
        if view is None:
            return self._without_routes(queue, client, task, key, task_id)
        scope = view.scope(task)
        job = task if scope or not key else key
        instance = key or task_id
        by_instance = view.by_instance.get((queue, scope))
        order = view.order(scope, instance if by_instance else job)
        valid = client is not None and view.epoch == client.epoch
        if valid and by_instance is not None:
            answer = view.answers.get((queue, scope, order))
            if answer is not None:
                self.log.decisions["memory"] += 1
                return self._placed(view, scope, order, answer, queue, job, instance)
        candidates = self.workers.of(queue)
        if candidates is None and view.is_routed(scope):
            # The workers are not known yet, so the request would have no candidates.
            if valid or client is None:
                return self._by_routes("routes", view, scope, order, queue, job, instance)
            return self._fallback("the watch of its routes is interrupted", view, scope, order, queue, job, instance)
        cause = "it did not answer before"
        if client is not None and not self.down:
            try:
                answer = client.filter(
                    self.settings.application,
                    job=job,
                    instance=instance,
                    candidates=candidates or (),
                    dispatch=self._dispatch,
                )
            except SidecarError as error:
                self.down = True
                cause = str(error)
            else:
                if (
                    valid
                    and not answer.undecided
                    and view is self._view
                    and answer.generation == view.update.generation
                ):
                    view.by_instance[queue, scope] = answer.for_instance
                    order = view.order(scope, instance if answer.for_instance else job)
                    if view.epoch == client.epoch and candidates is self.workers.of(queue):
                        view.remember((queue, scope, order), answer)
                self.log.decisions["sidecar"] += 1
                return self._placed(view, scope, order, answer, queue, job, instance)
        elif client is None:
            return self._by_routes("routes", view, scope, order, queue, job, instance)
        return self._fallback(cause, view, scope, order, queue, job, instance)

    def _first_routes(self, client: RoutingClient | None) -> RouteView | None:
        """Return the routes; the first task of a process waits for them, no longer than a call may take."""
        if client is not None and not self._waited:
            until = self._clock() + self.settings.timeout
            while (self._view is None or self._view.epoch != client.epoch) and self._clock() < until:
                self._wait(_SHORT_WAIT_S)
            self._waited = True
        return self._view

    def _without_routes(self, queue: str, client: RoutingClient | None, task: str, key: str, task_id: str) -> Placement:
        job, instance = key or task, key or task_id
        candidates = self.workers.of(queue)
        cause = "it has sent no routes yet"
        if client is not None and candidates is not None and not self.down:
            try:
                answer = client.filter(
                    self.settings.application,
                    job=job,
                    instance=instance,
                    candidates=candidates,
                    dispatch=self._dispatch,
                )
            except SidecarError as error:
                self.down = True
                cause = str(error)
            else:
                self.log.decisions["sidecar"] += 1
                return Placement(answer.datacenter, job, instance)
        origin = "closed" if self.settings.on_outage is OnOutage.CLOSED else "open"
        self.log.count_without(origin, cause)
        if origin == "closed":
            raise NoDatacenter(f"task {task}: no answer from the sidecar ({cause}), and on_outage is closed")
        return Placement("", job, instance)

    def _placed(
        self,
        view: RouteView,
        scope: str,
        order: Sequence[str],
        answer: FilterResult,
        queue: str,
        job: str,
        instance: str,
    ) -> Placement:
        if answer.datacenter or answer.reason is Reason.UNROUTED:
            return Placement(answer.datacenter, job, instance)
        if answer.reason is Reason.ANY:
            chosen = set(answer.addresses)
            where = [worker.datacenter for worker in self.workers.of(queue) or () if worker.address in chosen]
            return Placement(next((name for name in order if name in where), where[0] if where else ""), job, instance)
        if self.settings.on_no_worker is OnNoWorker.FAIL:
            raise NoDatacenter(f"queue {queue}: no datacenter of the route has live workers, and on_no_worker is fail")
        return Placement(view.first(scope, order), job, instance)

    def _by_routes(
        self, origin: str, view: RouteView, scope: str, order: Sequence[str], queue: str, job: str, instance: str
    ) -> Placement:
        self.log.decisions[origin] += 1
        if not view.is_routed(scope):
            return Placement("", job, instance)
        return Placement(
            view.choose(scope, order, self.workers.counts(queue)) or view.first(scope, order), job, instance
        )

    def _fallback(
        self, cause: str, view: RouteView, scope: str, order: tuple[str, ...], queue: str, job: str, instance: str
    ) -> Placement:
        key = queue, scope, order
        last = view.answers.get(key) or self._last.get(key)
        fresh = self._clock() - self._confirmed <= self.settings.last_answer_for
        if last is not None and fresh and last.datacenter and view.allows(scope, last.datacenter):
            self.log.count_without("last-answer", cause)
            return Placement(last.datacenter, job, instance)
        match self.settings.on_outage:
            case OnOutage.CLOSED:
                self.log.count_without("closed", cause)
                raise NoDatacenter(f"queue {queue}: no answer from the sidecar ({cause}), and on_outage is closed")
            case OnOutage.OPEN:
                self.log.count_without("open", cause)
                return Placement("", job, instance)
            case _:
                self.log.count_without("last-known", cause)
                if not view.is_routed(scope):
                    return Placement("", job, instance)
                chosen = view.choose(scope, order, self.workers.counts(queue)) or view.first(scope, order)
                return Placement(chosen, job, instance)
