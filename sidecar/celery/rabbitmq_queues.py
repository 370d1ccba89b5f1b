"""Moves messages between RabbitMQ's queues: publishing and acknowledgement are one transaction."""

from __future__ import annotations

from typing import Any

from amqp.basic_message import Message
from amqp.exceptions import NotFound

from sidecar.celery.queued_task import Moved, QueuedTask, Target, task_of
from sidecar.errors import BrokerUnavailable


class RabbitMqQueues:
    """The queues of a RabbitMQ, by a connection of Kombu's.

    A message that is read is held until the transaction that moves it, or goes back to its place in the queue.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._channel: Any = connection.default_channel
        self._channel.tx_select()
        self._held: list[int] = []
        self._returned: list[Any] = []
        self._channel.events["basic_return"].add(lambda *reply: self._returned.append(reply[-1]))

    def depth(self, queue: str) -> int:
        """Return how many messages wait."""
        return self._count(queue) or 0

    def exists(self, queue: str) -> bool:
        """Return whether there is a queue."""
        return self._count(queue) is not None

    def look(self, queue: str, count: int) -> list[QueuedTask]:
        """Return the first tasks; they are marked as redelivered from then on."""
        found: list[QueuedTask] = []
        if not self.depth(queue):
            return found
        with self._connection.channel() as channel:
            for _ in range(count):
                message = channel.basic_get(queue)
                if message is None:
                    break
                task = task_of(message.headers)
                if task is not None:
                    found.append(task)
        return found

    def move(self, queue: str, target: Target, count: int) -> Moved:
        """Move the first messages."""
        result = Moved()
        if not self._held and not self.depth(queue):
            result.ended = True
            return result
        channel = self._channel
        targets = []
        for _ in range(count):
            message = channel.basic_get(queue)
            if message is None:
                result.ended = True
                break
            task = task_of(message.headers)
            name = target(task) if task is not None else ""
            if not name:
                result.count("")
                self._held.append(message.delivery_tag)
                continue
            channel.basic_publish(
                Message(message.body, **message.properties), exchange="", routing_key=name, mandatory=True
            )
            channel.basic_ack(message.delivery_tag)
            targets.append(name)
        if targets:
            channel.tx_commit()
        for name in targets:
            result.count(name)
        if self._returned:
            self._put_back(queue)
        return result

    def restore(self, queue: str, target: Target) -> Moved:  # noqa: ARG002 - as the protocol has it
        """Do nothing: RabbitMQ puts messages back itself when their consumer's connection ends."""
        result = Moved()
        result.ended = True
        return result

    def _count(self, queue: str) -> int | None:
        with self._connection.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except NotFound:
                return None

    def _put_back(self, queue: str) -> None:
        """Put messages back whose target was deleted before they arrived. Raises BrokerUnavailable."""
        returned, self._returned = self._returned, []
        for message in returned:
            self._channel.basic_publish(Message(message.body, **message.properties), exchange="", routing_key=queue)
        self._channel.tx_commit()
        raise BrokerUnavailable(
            f"queue {queue}: {len(returned)} tasks are back in it: the queue they went to was deleted"
        )

    def close(self) -> None:
        """Put the held messages back."""
        if self._held and self._channel.is_open:
            for tag in self._held:
                self._channel.basic_reject(tag, requeue=True)
            self._channel.tx_commit()
            self._held = []
