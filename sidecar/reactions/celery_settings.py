"""The settings of a `celery` reaction: whose waiting tasks are moved after a change, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.config.kinds import ADDRESS
from sidecar.errors import ConfigError
from sidecar.reactions.fields import rate, seconds, secret_file, switch, text, words

_TLS_FILES = ("ca", "cert", "key")
KEYS = (
    *("celery", "app", "queues", "sidecar", "tls", *_TLS_FILES, "server-name"),
    *("template", "unacked", "rate", "watch-for"),
)
_SIDECAR = "127.0.0.1:50051"
_RATE = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryMoveSettings:
    """A file with the broker's URL, an application and the plain names of its queues.

    Tasks are moved as the sidecar at the address `sidecar` says, at most `rate` in a second, again and again until
    `watch_for` seconds after the change: publishers follow a change a little later, and workers may start. With
    `unacked` tasks are moved, too, that lost workers had received (Redis only). `tls` are the command's flags for that
    sidecar.
    """

    broker_file: Path
    app: str
    queues: tuple[str, ...]
    sidecar: str
    tls: tuple[str, ...]
    template: str
    unacked: bool
    rate: float
    watch_for: float


def read_celery(entry: Mapping[str, Any], place: str) -> CeleryMoveSettings:
    """Read the keys of a reaction. Raises ConfigError, naming the place."""
    broker = secret_file(entry, place, "celery")
    app = text(entry, place, "app")
    if broker is None or app is None:
        raise ConfigError(f"{place}: expected celery, a file with the broker's URL, and app, the application's name")
    if "queues" not in entry:
        raise ConfigError(f"{place}.queues: expected a list of the queues whose tasks are to be moved")
    address = text(entry, place, "sidecar") or _SIDECAR
    if ADDRESS.read(address) is None:
        raise ConfigError(f"{place}.sidecar: found {address!r}, expected {ADDRESS.expected}")
    return CeleryMoveSettings(
        broker_file=broker,
        app=app,
        queues=words(entry, place, "queues"),
        sidecar=address,
        tls=_tls(entry, place),
        template=text(entry, place, "template") or "{queue}.{dc}",
        unacked=switch(entry, place, "unacked", default=False),
        rate=rate(entry, place, _RATE, "tasks"),
        watch_for=seconds(entry, place, "watch-for", 60.0, zero=True),
    )


def _tls(entry: Mapping[str, Any], place: str) -> tuple[str, ...]:
    flags = ["--tls"] if switch(entry, place, "tls", default=False) else []
    for key in _TLS_FILES:
        path = text(entry, place, key)
        if path is None:
            continue
        if not Path(path).is_file():
            raise ConfigError(f"{place}.{key}: found {path!r}, expected the path of a PEM file")
        flags += [f"--{key}", path]
    if ("cert" in entry) != ("key" in entry):
        raise ConfigError(f"{place}: expected cert and key, both or none")
    name = text(entry, place, "server-name")
    return (*flags, "--server-name", name) if name is not None else tuple(flags)
