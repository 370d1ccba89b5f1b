"""A job of ElasticJob as its registry center has it: instances, shards, flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from sidecar.routing.candidates import Worker

STRATEGY = "DC_SIDECAR"
"""The type of the adapter's sharding strategy."""

_DELIMITER = "@-@"
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class ElasticJob:
    """A job: its live `instances` by id, the instance of each of its shards ("" for none), and the shards that run now.

    `pending` means that it is resharded at its next trigger, by the instance `leader`.
    """

    name: str
    instances: Mapping[str, Worker]
    shards: tuple[str, ...]
    running: frozenset[int] = frozenset()
    pending: bool = False
    leader: str = ""


def instance_of(identity: str, registration: str) -> Worker:
    """Return an instance as the adapter sends it to the sidecar; `registration` is its entry in the registry center."""
    fields = read_fields(registration)
    labels = fields.get("labels", "").strip()
    ip, delimiter, process = identity.partition(_DELIMITER)
    address = (fields.get("serverIp") or ip) + (f":{process}" if delimiter else "")
    return Worker(address, metrics=labels) if labels.startswith("{") else Worker(address, tag=labels)


def read_fields(text: str) -> Mapping[str, str]:
    """Return the scalar fields of a YAML mapping that ElasticJob wrote; none of a text that cannot be read."""
    try:
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506 - the loader makes texts, lists and mappings only
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    if not isinstance(tree, dict):
        return {}
    return {key: value for key, value in tree.items() if isinstance(value, str) and value != "null"}
