"""What `reactions` in the configuration says, checked whole before the sidecar starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sidecar.audit.record import MOVES, Event, Record
from sidecar.config.layers import nearest
from sidecar.errors import ConfigError
from sidecar.routing.scalars import SECOND_NS, parse_duration

# What may stand behind `on`, and the events that it means.
KINDS: Mapping[str, tuple[str, ...]] = {
    "switch": ("switch",),
    "failover": ("failover",),
    "return": ("return",),
    "drill": ("drill-started", "drill-ended"),
    "refused": ("refused",),
    "missing": ("missing",),
    "ramp-step": ("ramp-step",),
    "override": ("override-started", "override-ended"),
    "applied": ("applied",),
}
FORMATS = ("json", "slack", "dingtalk", "wecom", "feishu")

_DEFAULT_ON = ("switch", "failover", "return", "drill", "refused")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_KEYS = ("name", "on", "apps", "webhook", "webhook-file", "format", "secret-file", "command", "timeout", "retry-for")
_WEBHOOK_ONLY = ("format", "secret-file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One reaction: a webhook, whose URL may be in a file, or a command. Times are seconds.

    It is tried until `retry_for` after the change; 0 means once. `kinds` are those of the events that it is for, `apps`
    the applications, None for all.
    """

    name: str
    kinds: frozenset[str]
    apps: frozenset[str] | None
    webhook: str = ""
    webhook_file: Path | None = None
    format: str = "json"
    secret_file: Path | None = None
    command: tuple[str, ...] = ()
    timeout: float
    retry_for: float

    def wanted(self, record: Record) -> tuple[Event, ...]:
        """Return the events of a record that it is for."""
        return tuple(event for event in record.events if event.kind in self.kinds and self._mine(event))

    def _mine(self, event: Event) -> bool:
        if self.apps is None or event.kind not in MOVES:
            return True
        return any(subject.partition("/")[0] in self.apps for subject in event.subjects)


def read_reactions(tree: object) -> tuple[Reaction, ...]:
    """Return what a list of reactions says. Raises ConfigError, naming the place, for all that is wrong with one."""
    if not isinstance(tree, list):
        raise ConfigError("reactions: expected a list, each with a name, and a webhook or a command")
    found = tuple(_reaction(entry, f"reactions[{index}]") for index, entry in enumerate(tree))
    names = [reaction.name for reaction in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"reactions: found the name {twice!r} twice, expected each once")
    return found


def _reaction(entry: Any, place: str) -> Reaction:  # noqa: ANN401 - it is checked here
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: expected a mapping with name, and webhook, webhook-file or command")
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(f"{place}: found {key!r}{nearest(key, _KEYS) or ', expected ' + ', '.join(_KEYS)}")
    name = _text(entry, place, "name") or ""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{place}.name: found {name!r}, expected 1 to 63 letters, digits and . _ -")
    place = f"reactions: {name}"
    ways = [key for key in ("webhook", "webhook-file", "command") if key in entry]
    if len(ways) != 1:
        raise ConfigError(
            f"{place}: found {' and '.join(ways) or 'none'} of webhook, webhook-file and command, expected one"
        )
    command = _words(entry, place, "command") if "command" in entry else ()
    if command and any(key in entry for key in _WEBHOOK_ONLY):
        raise ConfigError(f"{place}: found what is for a webhook beside a command")
    on = _words(entry, place, "on") if "on" in entry else _DEFAULT_ON
    for word in on:
        if word not in KINDS:
            raise ConfigError(f"{place}.on: found {word!r}{nearest(word, KINDS) or ', expected ' + ', '.join(KINDS)}")
    form = _text(entry, place, "format") or "json"
    if form not in FORMATS:
        raise ConfigError(f"{place}.format: found {form!r}, expected {' or '.join(FORMATS)}")
    webhook = _text(entry, place, "webhook") or ""
    if webhook:
        check_url(webhook, f"{place}.webhook")
    if form in {"wecom", "slack"} and "secret-file" in entry:
        raise ConfigError(f"{place}.secret-file: {form} knows no signatures; its URL is the secret: use webhook-file")
    return Reaction(
        name=name,
        kinds=frozenset(kind for word in on for kind in KINDS[word]),
        apps=frozenset(_words(entry, place, "apps")) if "apps" in entry else None,
        webhook=webhook,
        webhook_file=_file(entry, place, "webhook-file"),
        format=form,
        secret_file=_file(entry, place, "secret-file"),
        command=command,
        timeout=_seconds(entry, place, "timeout", 60.0 if command else 5.0),
        retry_for=_seconds(entry, place, "retry-for", 0.0 if command else 3600.0),
    )


def check_url(url: str, place: str) -> None:
    """Raise ConfigError for what is no URL to post to; the URL itself, which may hold a secret, is not told."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise ConfigError(f"{place}: expected a URL that begins with https:// or http://")


def _text(entry: Mapping[str, Any], place: str, key: str) -> str | None:
    value = entry.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigError(f"{place}.{key}: expected a text")


def _words(entry: Mapping[str, Any], place: str, key: str) -> tuple[str, ...]:
    value = entry[key]
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word for word in value):
        raise ConfigError(f"{place}.{key}: expected a list of texts")
    return tuple(value)


def _seconds(entry: Mapping[str, Any], place: str, key: str, default: float) -> float:
    text = _text(entry, place, key)
    if text is None:
        return default
    duration = 0 if text == "0" and key == "retry-for" else parse_duration(text)
    if duration is None or (duration == 0 and key == "timeout"):
        raise ConfigError(f"{place}.{key}: found {text!r}, expected a duration such as 500ms, 10s or 1h")
    return duration / SECOND_NS


def _file(entry: Mapping[str, Any], place: str, key: str) -> Path | None:
    text = _text(entry, place, key)
    if text is None:
        return None
    path = Path(text)
    if not read_secret(path):
        raise ConfigError(f"{place}.{key}: {path} cannot be read, or is empty")
    return path


def read_secret(path: Path) -> str:
    """Return what a file holds, without the line break at its end; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""
