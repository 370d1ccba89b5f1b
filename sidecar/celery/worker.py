"""The hooks of a Celery worker: it consumes its datacenter's queues, and sends on tasks that belong elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from celery import Celery
from celery.exceptions import Ignore
from kombu.exceptions import OperationalError

from sidecar.celery.publishing import HEADER, derived_queue
from sidecar.celery.queue_names import QueueNames
from sidecar.celery.router import Router
from sidecar.celery.settings import CelerySettings, Forward
from sidecar.errors import NoDatacenter

log = logging.getLogger(__name__)

_FORWARDED = "dc_sidecar_forwarded"
# Sidecars may disagree for a moment after a change; a task does not wander for long.
_MAX_FORWARDS = 3


class WorkerRouting(Protocol):
    """The part of the routing that a worker uses."""

    settings: CelerySettings
    names: QueueNames

    @property
    def router(self) -> Router:
        """This process's router."""

    def never_connect(self) -> None:
        """Use saved routes only in this process."""


class WorkerHooks:
    """The hooks of one application's workers."""

    def __init__(self, app: Celery, routing: WorkerRouting) -> None:
        self._app = app
        self._routing = routing

    def prepare(self, instance: Any, **_signal: Any) -> None:
        """Prepare a worker that is starting, before its queues are consumed and its processes forked."""
        if instance.app is not self._app:
            return
        if instance.pool_cls.__module__.endswith(".prefork"):
            self._routing.never_connect()
        settings = self._routing.settings
        datacenter = settings.datacenter
        if not datacenter:
            log.warning(
                "this worker's datacenter is not known: set DC_SIDECAR_DATACENTER; it consumes only the queues that "
                "it was started with"
            )
            return
        queues = self._app.amqp.queues
        for name in list(queues.consume_from):
            queue, _ = self._routing.names.split(name, [datacenter])
            if settings.routes(queue):
                queues.select_add(derived_queue(queues[queue], self._routing.names.of(queue, datacenter)))
        if settings.forward is not Forward.NEVER:
            for task in self._app.tasks.values():
                if not task.name.startswith("celery."):
                    self._check_before(type(task))

    def _check_before(self, kind: Any) -> None:
        """Let each task of a class check where it belongs before it starts."""
        original: Callable[..., None] = kind.before_start
        if getattr(original, "checks_datacenter", False):
            return

        @wraps(original)
        def before_start(task: Any, task_id: str, args: Any, kwargs: Any) -> None:
            if self._forwards(task):
                raise Ignore
            original(task, task_id, args, kwargs)

        before_start.checks_datacenter = True  # type: ignore[attr-defined]
        kind.before_start = before_start

    def _forwards(self, task: Any) -> bool:
        """Send a task that is about to run to the datacenter where it belongs now; return whether that was done."""
        request = task.request
        settings = self._routing.settings
        asked = getattr(request, HEADER, None)
        if request.is_eager or not isinstance(asked, dict) or asked.get("app") != settings.application:
            return False
        if settings.forward is Forward.ETA and not request.eta:
            return False
        headers = dict(request.headers or {})
        forwarded = headers.get(_FORWARDED) or 0
        queue, here = self._routing.names.split(
            (request.delivery_info or {}).get("routing_key") or "", [settings.datacenter]
        )
        if not here or forwarded >= _MAX_FORWARDS:
            return False
        try:
            job, instance = str(asked["job"]), str(asked["instance"])
            placement = self._routing.router.place(queue, request.task, "" if job == request.task else job, instance)
            if placement.datacenter in {"", here}:
                return False
            headers[_FORWARDED] = forwarded + 1
            signature = task.signature_from_request(request, queue=queue, headers=headers)
            signature.apply_async(eta=None, countdown=None)
        except NoDatacenter:
            return False
        except OperationalError as error:
            log.warning("task %s runs here: it cannot be sent to another datacenter: %s", request.id, error)
            return False
        log.info("task %s forwarded to %s", request.id, placement.datacenter)
        return True
