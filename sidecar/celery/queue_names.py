"""The names of queues: each queue has one queue per datacenter beside it."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.errors import ConfigError

_QUEUE, _DATACENTER = "{queue}", "{dc}"


class QueueNames:
    """Derives the queue of a datacenter by a template such as `{queue}.{dc}`. Raises ConfigError for another one."""

    def __init__(self, template: str) -> None:
        bare = template.replace(_QUEUE, "", 1).replace(_DATACENTER, "", 1)
        if _QUEUE not in template or _DATACENTER not in template or "{" in bare or "}" in bare or not bare:
            raise ConfigError(
                f"template: found {template!r}, expected a name with {_QUEUE}, {_DATACENTER} and a separator, "
                "such as {queue}.{dc}"
            )
        self._template = template

    def of(self, queue: str, datacenter: str) -> str:
        """Return the name of a datacenter's queue."""
        return self._template.replace(_DATACENTER, datacenter).replace(_QUEUE, queue)

    def split(self, name: str, datacenters: Iterable[str]) -> tuple[str, str]:
        """Return the queue and the datacenter of a name; the name and "" if it belongs to none of the datacenters."""
        for datacenter in sorted(datacenters, key=len, reverse=True):
            before, after = self._template.replace(_DATACENTER, datacenter).split(_QUEUE)
            if len(name) > len(before) + len(after) and name.startswith(before) and name.endswith(after):
                return name[len(before) : len(name) - len(after)], datacenter
        return name, ""
