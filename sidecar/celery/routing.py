"""Connects a Celery application with the sidecar: one router per process, kept current by a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

from celery import Celery, signals

from sidecar.backoff import jitter
from sidecar.celery.fork_safety import FORK_SAFE
from sidecar.celery.live_workers import RecentWorkers, live_workers
from sidecar.celery.publishing import route_publishing
from sidecar.celery.queue_names import QueueNames
from sidecar.celery.router import Router
from sidecar.celery.settings import CelerySettings
from sidecar.celery.state_files import StateFiles
from sidecar.celery.worker import WorkerHooks
from sidecar.client import RouteUpdate, RoutingClient
from sidecar.errors import SidecarError

log = logging.getLogger(__name__)

_TICK_S = 1.0
_REPLIES_S = 1.0
# A worker is live until it has missed two inspections.
_MISSED = 2.5


class DatacenterRouting:
    """Routes the tasks of an application by a sidecar, from now on; keyword arguments are those of CelerySettings.

    All publishing of the application is routed: tasks, retries, chains, chords, periodic tasks. Workers that know
    their datacenter consume its queues beside those they were started with. The connection to the sidecar is opened by
    the first publish of a process, never before a fork. Raises ConfigError.
    """

    _router: Router
    _client: RoutingClient | None
    _thread: threading.Thread | None
    _stopping: threading.Event

    def __init__(self, app: Celery, *, application: str = "", **settings: Any) -> None:
        self.settings = CelerySettings(application=application or app.main or "", **settings)
        self.names = QueueNames(self.settings.template)
        self._app = app
        self._lock = threading.Lock()
        self._lent = False
        self._inherited: list[RoutingClient | None] = []
        self._begin()
        route_publishing(app, self)
        self._hooks = WorkerHooks(app, self)
        signals.celeryd_after_setup.connect(self._hooks.prepare)
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _after_fork(itself))

    @property
    def router(self) -> Router:
        """This process's router."""
        return self._router

    @property
    def decisions(self) -> Counter[str]:
        """How many tasks this process has routed, by origin: `memory`, `sidecar`, `routes`, `last-answer`, …."""
        return self._router.log.decisions

    def never_connect(self) -> None:
        """Use saved routes only in this process, as it forks: gRPC does not survive that."""
        self._lent = True

    def close(self) -> None:
        """Close the connection and end the thread; the next publish opens them again."""
        self._stopping.set()
        thread, client = self._thread, self._client
        if thread is not None:
            thread.join()
        if client is not None:
            client.close()
        self._begin()

    def client(self) -> RoutingClient | None:
        """Return this process's client, None where it must not have one."""
        if self._client is not None:
            return self._client
        if self._lent:
            self._load()
            return None
        with self._lock:
            if self._client is None:
                self._load()
                self._client = RoutingClient(
                    self.settings.target,
                    tls=self.settings.tls,
                    timeout=self.settings.timeout,
                    on_routes=self._note_routes,
                )
                self._thread = threading.Thread(
                    target=self._run, args=(self._client, self._stopping), name="celery-routing", daemon=True
                )
                self._thread.start()
        return self._client

    def _begin(self) -> None:
        self._router = Router(self.settings, self.client)
        self._client = None
        self._thread = None
        self._stopping = threading.Event()
        self._recent = RecentWorkers(_MISSED * self.settings.observe_every)
        self._consumed: dict[str, tuple[str, ...]] | None = None
        self._unsaved: RouteUpdate | None = None
        folder = self.settings.state_dir
        assert folder is None or isinstance(folder, Path)
        self._files = StateFiles(folder, self.settings.application) if folder is not None else None

    def after_fork(self) -> None:
        """Start over in a forked process: threads and connections belong to its parent."""
        self._lock = threading.Lock()
        inherited, view, workers = self._client, self._router.view, self._router.workers
        # Its end would touch connections of the parent.
        self._inherited.append(inherited)
        self._lent = inherited is not None and not FORK_SAFE
        if self._files is not None:
            self._files.forget_parent()
        self._begin()
        if view is not None:
            self._router.note_routes(view.update, None)
        self._router.note_workers(workers)

    def _note_routes(self, update: RouteUpdate, epoch: int) -> None:
        self._router.note_routes(update, epoch)
        self._unsaved = update
        self._note_workers()

    def _load(self) -> None:
        """Take over saved routes and workers that are newer than those in memory."""
        if self._files is None:
            return
        routes = self._files.load_routes()
        view = self._router.view
        if routes is not None and (view is None or view.epoch is None):
            self._router.note_routes(routes, None)
        consumed = self._files.load_workers()
        if consumed is not None:
            self._consumed = {address: tuple(queues) for address, queues in consumed.items()}
        self._note_workers()

    def _note_workers(self) -> None:
        consumed = self._consumed
        if consumed is not None and self.settings.observe_every:
            self._router.note_workers(live_workers(consumed, self.names, self._router.datacenters))

    def _run(self, client: RoutingClient, stopping: threading.Event) -> None:
        next_look = 0.0
        while True:
            try:
                if self._router.down:
                    client.status()
                    self._router.up()
                view = self._router.view
                if view is not None and view.epoch == client.epoch:
                    self._router.confirm()
            except SidecarError:
                pass
            update, self._unsaved = self._unsaved, None
            if update is not None and self._files is not None:
                self._files.save_routes(update)
            if self.settings.observe_every and time.monotonic() >= next_look:
                self._observe()
                next_look = time.monotonic() + jitter(self.settings.observe_every)
            elif self._files is not None and self.settings.observe_every:
                self._load()
            if stopping.wait(min(_TICK_S, self.settings.observe_every or _TICK_S)):
                return

    def _observe(self) -> None:
        """Inspect the live workers, unless another process of this host does."""
        if self._files is not None and not self._files.observes():
            self._load()
            return
        try:
            replies = self._app.control.inspect(timeout=_REPLIES_S).active_queues()
        except Exception as error:  # noqa: BLE001 - of kombu, amqp and redis; the broker is away
            log.debug("the workers cannot be inspected: %s", error)
            return
        self._consumed = self._recent.note(replies, time.monotonic())
        if self._files is not None:
            self._files.save_workers(self._consumed)
        self._note_workers()


def _after_fork(itself: weakref.ref[DatacenterRouting]) -> None:
    routing = itself()
    if routing is not None:
        routing.after_fork()
