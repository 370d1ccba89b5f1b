"""The settings of a `powerjob` reaction: which applications' work is rescheduled after a change, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.errors import ConfigError
from sidecar.powerjob.http import check_server
from sidecar.powerjob.model import Running
from sidecar.reactions.fields import rate, seconds, secret_file, switch, text, words

KEYS = ("powerjob", "apps", "password-file", "running", "map-reduce", "score-by", "lost", "since", "watch-for", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerJobSettings:
    """Servers, applications and password; times are in seconds.

    Runs that failed up to `since` before the change are retried; with `lost`, also those that were given up because
    their worker fell silent. `running` says which runs are stopped and retried that are on a worker that they would not
    be sent to any more; MapReduce runs only with `map_reduce`. `score_by_id` is for an adapter with `score-by=id`.
    PowerJob notices lost workers late, so the search goes on until `watch_for` after the change. At most `rate` runs
    are moved in a second.
    """

    servers: tuple[str, ...]
    apps: tuple[str, ...]
    password_file: Path | None
    running: Running
    map_reduce: bool
    score_by_id: bool
    lost: bool
    since: float
    watch_for: float
    rate: float


def read_powerjob(entry: Mapping[str, Any], place: str) -> PowerJobSettings:
    """Read the keys of a reaction. Raises ConfigError, naming the place."""
    servers = words(entry, place, "powerjob") if isinstance(entry["powerjob"], list) else (entry["powerjob"] or "",)
    try:
        servers = tuple(map(check_server, servers))
    except ConfigError as error:
        raise ConfigError(f"{place}.powerjob: {error}") from error
    if "apps" not in entry:
        raise ConfigError(f"{place}.apps: expected a list of the PowerJob applications whose work is to be rescheduled")
    apps = words(entry, place, "apps")
    if len(set(apps)) < len(apps):
        raise ConfigError(f"{place}.apps: expected each application once")
    return PowerJobSettings(
        servers=servers,
        apps=apps,
        password_file=secret_file(entry, place, "password-file"),
        running=Running(_choice(entry, place, "running", ("frequent", "false", "true"))),
        map_reduce=switch(entry, place, "map-reduce", default=False),
        score_by_id=_choice(entry, place, "score-by", ("name", "id")) == "id",
        lost=switch(entry, place, "lost", default=True),
        since=seconds(entry, place, "since", 600.0),
        watch_for=seconds(entry, place, "watch-for", 180.0, zero=True),
        rate=rate(entry, place, 10.0, "runs"),
    )


def _choice(entry: Mapping[str, Any], place: str, key: str, choices: tuple[str, ...]) -> str:
    """Return one of the choices; the first is the default."""
    found = text(entry, place, key) or choices[0]
    if found not in choices:
        raise ConfigError(f"{place}.{key}: found {found!r}, expected {', '.join(choices[:-1])} or {choices[-1]}")
    return found
