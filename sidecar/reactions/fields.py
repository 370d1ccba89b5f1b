"""Reads and checks the keys of a reaction; errors name the place."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sidecar.config.layers import nearest
from sidecar.errors import ConfigError, SecretUnreadable
from sidecar.routing.scalars import SECOND_NS, parse_duration
from sidecar.secret_file import read_secret

_SWITCHES = {"true": True, "false": False}


def check_keys(entry: Mapping[str, Any], place: str, known: Collection[str]) -> None:
    """Raise ConfigError for an unknown key."""
    for key in entry:
        if key not in known:
            raise ConfigError(f"{place}: found {key!r}{nearest(key, known) or ', expected ' + ', '.join(known)}")


def text(entry: Mapping[str, Any], place: str, key: str) -> str | None:
    """Return a text, None if the key is missing. Raises ConfigError."""
    value = entry.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigError(f"{place}.{key}: expected a text")


def words(entry: Mapping[str, Any], place: str, key: str) -> tuple[str, ...]:
    """Return a list of texts, which must not be missing or empty. Raises ConfigError."""
    value = entry[key]
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word for word in value):
        raise ConfigError(f"{place}.{key}: expected a list of texts")
    return tuple(value)


def seconds(entry: Mapping[str, Any], place: str, key: str, default: float, *, zero: bool = False) -> float:
    """Return a duration in seconds; 0 is allowed with `zero` only. Raises ConfigError."""
    found = text(entry, place, key)
    if found is None:
        return default
    duration = 0 if found == "0" and zero else parse_duration(found)
    if duration is None or (duration == 0 and not zero):
        raise ConfigError(f"{place}.{key}: found {found!r}, expected a duration such as 500ms, 10s or 1h")
    return duration / SECOND_NS


def switch(entry: Mapping[str, Any], place: str, key: str, *, default: bool) -> bool:
    """Return a boolean. Raises ConfigError."""
    found = text(entry, place, key)
    if found is None:
        return default
    if found not in _SWITCHES:
        raise ConfigError(f"{place}.{key}: found {found!r}, expected true or false")
    return _SWITCHES[found]


def secret_file(entry: Mapping[str, Any], place: str, key: str) -> Path | None:
    """Return the path of a file with a secret. Raises ConfigError, also if the file has none now."""
    found = text(entry, place, key)
    if found is None:
        return None
    path = Path(found)
    try:
        read_secret(path)
    except SecretUnreadable as error:
        raise ConfigError(f"{place}.{key}: {path} {error}") from error
    return path


def rate(entry: Mapping[str, Any], place: str, default: float, unit: str) -> float:
    """Return the `rate` of a reaction, in a unit such as jobs per second. Raises ConfigError."""
    found = text(entry, place, "rate")
    try:
        number = default if found is None else float(found)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(f"{place}.rate: found {found!r}, expected a number over 0: {unit} per second")
    return number
