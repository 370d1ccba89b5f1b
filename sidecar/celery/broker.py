"""The queues of a broker, for moving the tasks in them: Redis or RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from celery import Celery
from kombu.exceptions import OperationalError

from sidecar.celery.queued_task import Moved, QueuedTask, Target
from sidecar.errors import BrokerUnavailable, ConfigError


class BrokerQueues(Protocol):
    """The queues of one broker. Calls raise BrokerUnavailable."""

    def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue; 0 if there is none."""

    def exists(self, queue: str) -> bool:
        """Return whether there is a queue: a message to another one would be lost."""

    def look(self, queue: str, count: int) -> list[QueuedTask]:
        """Return the first tasks of a queue, at most `count`, which stay there."""

    def move(self, queue: str, target: Target, count: int) -> Moved:
        """Move the first messages of a queue, at most `count`, to their targets: each completely or not at all.

        The next call on the same queue passes over messages that `target` keeps. However the process ends, each message
        is in one queue.
        """

    def restore(self, queue: str, target: Target) -> Moved:
        """Move the messages that consumers had received from a queue and not acknowledged."""

    def close(self) -> None:
        """Close the connection; messages that were passed over are where they were."""


@contextmanager
def open_queues(app: Celery) -> Iterator[BrokerQueues]:
    """Connect to the broker of an application. Raises ConfigError for a kind of broker that is not supported."""
    connection: Any = app.connection_for_write()
    kind = connection.transport.driver_type
    if kind not in {"redis", "amqp"}:
        raise ConfigError(f"broker: found {kind}, expected redis or amqp (RabbitMQ)")
    with connection, broker_errors(connection):
        connection.ensure_connection(max_retries=1, timeout=5)
        queues: BrokerQueues
        if kind == "redis":
            from sidecar.celery.redis_queues import RedisQueues  # noqa: PLC0415 - redis is not always installed

            queues = RedisQueues(connection.default_channel)
        else:
            from sidecar.celery.rabbitmq_queues import RabbitMqQueues  # noqa: PLC0415 - for one of two

            queues = RabbitMqQueues(connection)
        try:
            yield queues
        finally:
            queues.close()


@contextmanager
def broker_errors(connection: Any) -> Iterator[None]:
    """Raise the errors of a broker's client as BrokerUnavailable, which shows no password."""
    try:
        yield
    except (OperationalError, *connection.connection_errors, *connection.channel_errors, OSError) as error:
        raise BrokerUnavailable(f"broker {connection.as_uri()}: {error}") from error
