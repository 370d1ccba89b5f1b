"""The settings of reactions, checked completely before the sidecar starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.audit.event import MOVES, AuditEvent, EventKind
from sidecar.audit.record import Record
from sidecar.config.layers import nearest
from sidecar.errors import ConfigError
from sidecar.http_client import is_http_url
from sidecar.reactions.fields import check_keys, seconds, secret_file, text, words

if TYPE_CHECKING:
    from sidecar.reactions.celery_settings import CeleryMoveSettings
    from sidecar.reactions.elasticjob_settings import ElasticJobSettings
    from sidecar.reactions.powerjob_settings import PowerJobSettings

# The words of `on`, and the kinds of events that each means.
KINDS: Mapping[str, tuple[EventKind, ...]] = {
    "switch": (EventKind.SWITCH,),
    "failover": (EventKind.FAILOVER,),
    "return": (EventKind.RETURN,),
    "drill": (EventKind.DRILL_STARTED, EventKind.DRILL_ENDED),
    # Who learns of a refusal learns of its end.
    "refused": (EventKind.REFUSED, EventKind.ACCEPTED),
    "accepted": (EventKind.ACCEPTED,),
    "missing": (EventKind.MISSING,),
    "ramp-step": (EventKind.RAMP_STEP,),
    "override": (EventKind.OVERRIDE_STARTED, EventKind.OVERRIDE_ENDED),
    "applied": (EventKind.APPLIED,),
    "rescheduled": (EventKind.RESCHEDULED,),
}
FORMATS = ("json", "slack", "dingtalk", "wecom", "feishu")

LEASE_S = 30.0
"""Seconds after which another sidecar may take over a change from one that has died; a claim in use is renewed."""

_DEFAULT_ON = ("switch", "failover", "return", "drill", "refused")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_COMMON = ("name", "on", "timeout", "retry-for")
_KEYS = (*_COMMON, "apps", "webhook", "webhook-file", "format", "secret-file", "command", "environment")
_EXPECTED_WAYS = "webhook, webhook-file, command, powerjob, celery and elasticjob"
# Changes that move work, and may leave some behind.
_MOVING = {kind: KINDS[kind] for kind in ("switch", "failover", "return", "ramp-step")}
_MOVING_ON = ("switch", "failover", "return")
_WEBHOOK_ONLY = ("format", "secret-file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One reaction: a webhook, whose URL may be in a file, a command, or rescheduling. Times are in seconds.

    `environment` are the variables that a command gets beside the usual ones. It is tried until `retry_for` after the
    change; 0 means once. `kinds` are the kinds of events that it reacts to,
    `apps` the applications, None for all.
    """

    name: str
    kinds: frozenset[EventKind]
    apps: frozenset[str] | None
    webhook: str = ""
    webhook_file: Path | None = None
    format: str = "json"
    secret_file: Path | None = None
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    powerjob: PowerJobSettings | None = None
    celery: CeleryMoveSettings | None = None
    elasticjob: ElasticJobSettings | None = None
    timeout: float
    retry_for: float

    def wanted(self, record: Record) -> tuple[AuditEvent, ...]:
        """Return the events of a record that it reacts to."""
        return tuple(event for event in record.events if event.kind in self.kinds and self._mine(event))

    def _mine(self, event: AuditEvent) -> bool:
        if self.apps is None or event.kind not in MOVES:
            return True
        return any(subject.partition("/")[0] in self.apps for subject in event.subjects)


def read_reactions(tree: object) -> tuple[Reaction, ...]:
    """Read a list of reactions. Raises ConfigError, naming the place."""
    if not isinstance(tree, list):
        raise ConfigError(
            "reactions: expected a list, each with a name, and a webhook, a command, powerjob, celery or elasticjob"
        )
    found = tuple(_reaction(entry, f"reactions[{index}]") for index, entry in enumerate(tree))
    names = [reaction.name for reaction in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"reactions: found the name {twice!r} twice, expected each once")
    return found


def _reaction(entry: Any, place: str) -> Reaction:  # noqa: ANN401 - it is checked here
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: expected a mapping with name, and {_EXPECTED_WAYS}")
    if "powerjob" in entry:
        return _rescheduling(entry, place)
    if "celery" in entry:
        return _moving_tasks(entry, place)
    if "elasticjob" in entry:
        return _resharding(entry, place)
    check_keys(entry, place, _KEYS)
    name, place = _name(entry, place)
    ways = [key for key in ("webhook", "webhook-file", "command") if key in entry]
    if len(ways) != 1:
        raise ConfigError(f"{place}: found {' and '.join(ways) or 'none'} of {_EXPECTED_WAYS}, expected one")
    command = words(entry, place, "command") if "command" in entry else ()
    if command and any(key in entry for key in _WEBHOOK_ONLY):
        raise ConfigError(f"{place}: found keys for a webhook beside a command")
    if "environment" in entry and not command:
        raise ConfigError(f"{place}.environment: expected a command beside it")
    form = text(entry, place, "format") or "json"
    if form not in FORMATS:
        raise ConfigError(f"{place}.format: found {form!r}, expected {' or '.join(FORMATS)}")
    webhook = text(entry, place, "webhook") or ""
    if webhook:
        check_url(webhook, f"{place}.webhook")
    if form in {"wecom", "slack"} and "secret-file" in entry:
        raise ConfigError(f"{place}.secret-file: {form} knows no signatures; its URL is the secret: use webhook-file")
    return Reaction(
        name=name,
        kinds=_kinds(entry, place, KINDS, _DEFAULT_ON),
        apps=frozenset(words(entry, place, "apps")) if "apps" in entry else None,
        webhook=webhook,
        webhook_file=secret_file(entry, place, "webhook-file"),
        format=form,
        secret_file=secret_file(entry, place, "secret-file"),
        command=command,
        environment=words(entry, place, "environment") if "environment" in entry else (),
        timeout=seconds(entry, place, "timeout", 60.0 if command else 5.0),
        retry_for=seconds(entry, place, "retry-for", 0.0 if command else 3600.0, zero=True),
    )


def _rescheduling(entry: Mapping[str, Any], place: str) -> Reaction:
    # Only where it is configured: PowerJob's modules take memory.
    from sidecar.reactions.powerjob_settings import KEYS, read_powerjob  # noqa: PLC0415

    reaction, place = _follow_up(entry, place, KEYS, _MOVING_ON)
    return replace(reaction, powerjob=read_powerjob(entry, place))


def _moving_tasks(entry: Mapping[str, Any], place: str) -> Reaction:
    from sidecar.reactions.celery_settings import KEYS, read_celery  # noqa: PLC0415 - only where it is configured

    reaction, place = _follow_up(entry, place, KEYS, _MOVING_ON)
    return replace(reaction, celery=read_celery(entry, place))


def _resharding(entry: Mapping[str, Any], place: str) -> Reaction:
    from sidecar.reactions.elasticjob_settings import KEYS, read_elasticjob  # noqa: PLC0415 - only where it is configured

    # Another sharding costs little, so ramps are followed too.
    reaction, place = _follow_up(entry, place, KEYS, tuple(_MOVING))
    return replace(reaction, elasticjob=read_elasticjob(entry, place))


def _follow_up(
    entry: Mapping[str, Any], place: str, keys: Collection[str], on: tuple[str, ...]
) -> tuple[Reaction, str]:
    """Return the part that all follow-ups have, and the place by which errors call the reaction from then on."""
    check_keys(entry, place, (*_COMMON, *keys))
    name, place = _name(entry, place)
    reaction = Reaction(
        name=name,
        kinds=_kinds(entry, place, _MOVING, on),
        apps=None,
        timeout=seconds(entry, place, "timeout", 5.0),
        retry_for=seconds(entry, place, "retry-for", 3600.0, zero=True),
    )
    return reaction, place


def _name(entry: Mapping[str, Any], place: str) -> tuple[str, str]:
    """Return the name, and the place by which errors call the reaction from then on."""
    name = text(entry, place, "name") or ""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{place}.name: found {name!r}, expected 1 to 63 letters, digits and . _ -")
    return name, f"reactions: {name}"


def _kinds(
    entry: Mapping[str, Any], place: str, known: Mapping[str, tuple[EventKind, ...]], default: tuple[str, ...]
) -> frozenset[EventKind]:
    on = words(entry, place, "on") if "on" in entry else default
    for word in on:
        if word not in known:
            raise ConfigError(f"{place}.on: found {word!r}{nearest(word, known) or ', expected ' + ', '.join(known)}")
    return frozenset(kind for word in on for kind in known[word])


def check_url(url: str, place: str) -> None:
    """Raise ConfigError for an invalid URL, without showing it: it may hold a secret."""
    if not is_http_url(url):
        raise ConfigError(f"{place}: expected a URL that begins with https:// or http://")
