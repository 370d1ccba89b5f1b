"""Routes the tasks that a Celery application publishes, in the one function that sends its messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from celery import Celery
from celery.utils.imports import instantiate
from kombu.entity import Queue

from sidecar.celery.queue_names import QueueNames
from sidecar.celery.router import Router
from sidecar.celery.settings import CelerySettings

HEADER = "dc_sidecar"
"""The header of a routed message: the application, queue, job and instance that the sidecar is asked about."""


class Routing(Protocol):
    """The part of the routing that publishing uses."""

    settings: CelerySettings
    names: QueueNames

    @property
    def router(self) -> Router:
        """This process's router."""


def route_publishing(app: Celery, routing: Routing) -> None:
    """Route all task messages of an application.

    The queue is chosen last, after the caller's options and the application's `task_routes`. So a retry, which names
    the queue that its task came from, is routed like any other message.
    """
    made_by = app.amqp_cls
    app.amqp_cls = partial(_routed_amqp, made_by, routing)
    app.__dict__.pop("amqp", None)


def _routed_amqp(made_by: Any, routing: Routing, *, app: Celery) -> Any:
    amqp = instantiate(made_by, app=app)
    amqp.__dict__["send_task_message"] = Publisher(app, amqp, routing)
    return amqp


class Publisher:
    """Takes the place of `AMQP.send_task_message`."""

    def __init__(self, app: Celery, amqp: Any, routing: Routing) -> None:
        self._app = app
        self._amqp = amqp
        self._routing = routing
        self._settings = routing.settings
        self._send: Callable[..., Any] | None = None
        self._queues: dict[tuple[str, str], Any] = {}
        self._parameters: dict[str, Sequence[str]] = {}

    def __call__(
        self,
        producer: Any,
        name: str,
        message: Any,
        exchange: Any = None,
        routing_key: str | None = None,
        queue: Any = None,
        **options: Any,
    ) -> Any:
        """Send a message, to the queue of the datacenter where its task runs now."""
        if self._send is None:
            self._send = self._amqp._create_task_sender()  # noqa: SLF001 - the function that this one replaces
        target = self._target(name, message, exchange, routing_key, queue)
        if target is not None:
            exchange, routing_key, queue = None, None, target
        return self._send(producer, name, message, exchange=exchange, routing_key=routing_key, queue=queue, **options)

    def _target(self, name: str, message: Any, exchange: Any, routing_key: str | None, queue: Any) -> Any:
        """Return the queue for a message, None if it is not routed."""
        if exchange and routing_key:
            return None
        if queue is not None:
            named = queue if isinstance(queue, str) else queue.name
            if not isinstance(queue, str) and queue.exchange.type not in {None, "direct"}:
                return None
        else:
            named = routing_key or self._app.conf.task_default_queue
        router = self._routing.router
        base = named
        if router.view is not None or self._settings.datacenter:
            base, _ = self._routing.names.split(named, router.datacenters)
        if not self._settings.routes(base):
            return None
        headers = message.headers
        task_id = headers.get("id") or ""
        placement = router.place(base, name, self._key(name, message.body, task_id), task_id)
        headers[HEADER] = {
            "app": self._settings.application,
            "queue": base,
            "job": placement.job,
            "instance": placement.instance,
        }
        return self.queue(base, placement.datacenter)

    def queue(self, base: str, datacenter: str) -> Any:
        """Return the queue of a datacenter, with the arguments of the queue beside it; of "" that queue itself."""
        found = self._queues.get((base, datacenter))
        if found is None:
            # Celery makes a queue that is not configured, if it may.
            plain = self._amqp.queues[base]
            found = plain if not datacenter else derived_queue(plain, self._routing.names.of(base, datacenter))
            self._queues[base, datacenter] = found
        return found

    def _key(self, name: str, body: Any, task_id: str) -> str:
        if self._settings.share_by == "task":
            return ""
        argument = self._settings.argument
        if argument:
            args, kwargs = body[0], body[1]
            value = kwargs.get(argument) if isinstance(kwargs, Mapping) else None
            if value is None:
                parameters = self._parameters_of(name)
                if argument in parameters and parameters.index(argument) < len(args):
                    value = args[parameters.index(argument)]
            if value is not None:
                return str(value)
        return task_id

    def _parameters_of(self, name: str) -> Sequence[str]:
        found = self._parameters.get(name)
        if found is None:
            task = self._app.tasks.get(name)
            found = self._parameters[name] = () if task is None else list(inspect.signature(task.run).parameters)
        return found


def derived_queue(plain: Any, name: str) -> Any:
    """Return a queue like another one, bound to nothing but the default exchange."""
    make: Any = Queue
    return make(
        name,
        routing_key=name,
        durable=plain.durable,
        auto_delete=plain.auto_delete,
        expires=plain.expires,
        message_ttl=plain.message_ttl,
        max_length=plain.max_length,
        max_length_bytes=plain.max_length_bytes,
        max_priority=plain.max_priority,
        queue_arguments=plain.queue_arguments,
        consumer_arguments=plain.consumer_arguments,
    )
