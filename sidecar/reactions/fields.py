"""Reads the keys of a reaction, naming the place of whatever is wrong with one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sidecar.config.layers import nearest
from sidecar.errors import ConfigError
from sidecar.routing.scalars import SECOND_NS, parse_duration

_SWITCHES = {"true": True, "false": False}


def check_keys(entry: Mapping[str, Any], place: str, known: Collection[str]) -> None:
    """Raise ConfigError for a key that is not among the known ones."""
    for key in entry:
        if key not in known:
            raise ConfigError(f"{place}: found {key!r}{nearest(key, known) or ', expected ' + ', '.join(known)}")


def text(entry: Mapping[str, Any], place: str, key: str) -> str | None:
    """Return a text, None where there is none."""
    value = entry.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigError(f"{place}.{key}: expected a text")


def words(entry: Mapping[str, Any], place: str, key: str) -> tuple[str, ...]:
    """Return a list of texts, which has to be there."""
    value = entry[key]
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word for word in value):
        raise ConfigError(f"{place}.{key}: expected a list of texts")
    return tuple(value)


def seconds(entry: Mapping[str, Any], place: str, key: str, default: float, *, zero: bool = False) -> float:
    """Return a duration in seconds; 0 only where `zero` is allowed."""
    found = text(entry, place, key)
    if found is None:
        return default
    duration = 0 if found == "0" and zero else parse_duration(found)
    if duration is None or (duration == 0 and not zero):
        raise ConfigError(f"{place}.{key}: found {found!r}, expected a duration such as 500ms, 10s or 1h")
    return duration / SECOND_NS


def switch(entry: Mapping[str, Any], place: str, key: str, *, default: bool) -> bool:
    """Return what is on or off."""
    found = text(entry, place, key)
    if found is None:
        return default
    if found not in _SWITCHES:
        raise ConfigError(f"{place}.{key}: found {found!r}, expected true or false")
    return _SWITCHES[found]


def secret_file(entry: Mapping[str, Any], place: str, key: str) -> Path | None:
    """Return a file that holds a secret; it is looked at now, so that a mistake is told at the start."""
    found = text(entry, place, key)
    if found is None:
        return None
    path = Path(found)
    if not read_secret(path):
        raise ConfigError(f"{place}.{key}: {path} cannot be read, or is empty")
    return path


def read_secret(path: Path) -> str:
    """Return what a file holds, without the line break at its end; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""
