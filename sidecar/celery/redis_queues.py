"""Moves messages between the lists that Kombu keeps as queues in Redis; a script moves each one atomically."""

from __future__ import annotations

import json
from typing import Any

import redis

from sidecar.celery.queued_task import Moved, QueuedTask, Target, task_of

# Consumers take from the right, so the oldest message is the last. One that a consumer took meanwhile is not moved.
_MOVE = """
local moved = {}
for i = 1, #ARGV, 3 do
  if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
    redis.call('LPUSH', ARGV[i + 1], ARGV[i + 2])
    moved[#moved + 1] = 1
  else
    moved[#moved + 1] = 0
  end
end
return moved
"""
_RESTORE = """
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('LPUSH', ARGV[2], ARGV[3])
return 1
"""
_SCANNED = 500


class RedisQueues:
    """The queues of a Redis broker, by a channel of Kombu's."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._client: Any = redis.Redis(connection_pool=channel.pool)
        self._prefix = channel.global_keyprefix
        self._move = self._client.register_script(_MOVE)
        self._restore = self._client.register_script(_RESTORE)
        # How many messages at the end of each list were passed over.
        self._passed: dict[str, int] = {}

    def depth(self, queue: str) -> int:
        """Return how many messages wait."""
        return sum(int(self._client.llen(key)) for key in self._keys(queue))

    def exists(self, queue: str) -> bool:  # noqa: ARG002 - as the protocol has it
        """Return True: a list is there as soon as it has a message."""
        return True

    def look(self, queue: str, count: int) -> list[QueuedTask]:
        """Return the first tasks."""
        found: list[QueuedTask] = []
        for key in self._keys(queue):
            raws = self._client.lrange(key, -(count - len(found)), -1) if len(found) < count else ()
            found += [task for raw in reversed(raws) if (task := _task(raw))]
        return found

    def move(self, queue: str, target: Target, count: int) -> Moved:
        """Move the first messages."""
        result = Moved()
        for key in self._keys(queue):
            passed = self._passed.get(key, 0)
            raws = self._client.lrange(key, -(passed + count), -(passed + 1))
            if not raws:
                continue
            words: list[str | bytes] = []
            targets: list[str] = []
            for raw in reversed(raws):
                task = _task(raw)
                name = target(task) if task is not None else ""
                if not name:
                    result.count("")
                    self._passed[key] = self._passed.get(key, 0) + 1
                    continue
                targets.append(name)
                words += [raw, self._key_like(key, queue, name), _readdressed(raw, name)]
            if words:
                for name, moved in zip(targets, self._move(keys=[key], args=words), strict=True):
                    if moved:
                        result.count(name)
            return result
        result.ended = True
        return result

    def restore(self, queue: str, target: Target) -> Moved:
        """Move the messages that consumers had received and not acknowledged."""
        result = Moved()
        unacked, index = self._prefix + self._channel.unacked_key, self._prefix + self._channel.unacked_index_key
        for tag, value in self._client.hscan_iter(unacked, count=_SCANNED):
            message, _exchange, routing_key = json.loads(value)
            if routing_key != queue:
                continue
            raw = json.dumps(message).encode()
            task = _task(raw)
            name = target(task) if task is not None else ""
            if not name:
                result.count("")
                continue
            priority = (message.get("properties") or {}).get("priority") or 0
            key = self._prefix + self._channel._q_for_pri(name, priority)  # noqa: SLF001 - the name of Kombu's list
            if self._restore(keys=[unacked, index], args=[tag, key, _readdressed(raw, name)]):
                result.count(name)
        result.ended = True
        return result

    def close(self) -> None:
        """Nothing is held."""

    def _keys(self, queue: str) -> list[str]:
        """Return the lists of a queue, one for each priority, the most urgent first."""
        return [self._prefix + self._channel._q_for_pri(queue, step) for step in self._channel.priority_steps]  # noqa: SLF001

    def _key_like(self, key: str, queue: str, name: str) -> str:
        """Return the list of another queue for the priority of a list of this one."""
        return f"{self._prefix}{name}{key[len(self._prefix) + len(queue) :]}"


def _task(raw: bytes) -> QueuedTask | None:
    try:
        return task_of(json.loads(raw).get("headers"))
    except (ValueError, AttributeError):
        return None


def _readdressed(raw: bytes, name: str) -> bytes:
    """Return a message whose delivery info names another queue: where it goes back to if its worker dies."""
    message = json.loads(raw)
    delivery = message.setdefault("properties", {}).setdefault("delivery_info", {})
    delivery["exchange"], delivery["routing_key"] = "", name
    return json.dumps(message).encode()
