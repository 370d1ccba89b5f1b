"""The policy: which callers may make which calls, for which applications, and within which bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from sidecar.errors import ConfigError, DocumentRejected
from sidecar.yaml_reader import Tree, read

CALLS = ("FilterWorkers", "FilterWorkersStream", "GetRoute", "GetStatus", "WatchRoutes", "Reflection", "xds", "http")
_KINDS = ("uri", "dns", "cn", "token")
_KEYS = ("name", "match", "calls", "apps", "dispatch", "rate", "concurrent", "streams", "candidates")
_RATE = re.compile(r"([0-9]{1,7})(?:/s)?")
_IDENTITY = re.compile(r"unix|anonymous|(?:uri|dns|cn|token):\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRule:
    """A rule: the rights of callers that match. None for a bound stands for none beside the sidecar's own.

    `rate` counts calls and requests of streams a second, `concurrent` unary calls under way, `streams` open streams,
    `candidates` those of a request: each for every identity on its own. With `dispatch` its requests may count as
    dispatches, which are evidence for failover.
    """

    name: str
    match: tuple[str, ...]
    calls: frozenset[str] = frozenset(CALLS)
    apps: tuple[str, ...] = ("*",)
    dispatch: bool = True
    rate: int | None = None
    concurrent: int | None = None
    streams: int | None = None
    candidates: int | None = None

    @property
    def every_app(self) -> bool:
        """True where the rule names no applications."""
        return "*" in self.apps

    def covers(self, identities: Sequence[str]) -> bool:
        """Return whether one of a caller's names matches."""
        return any(fnmatchcase(name, pattern) for name in identities for pattern in self.match)

    def allows_app(self, app: str) -> bool:
        """Return whether calls may be about an application."""
        return any(fnmatchcase(app, pattern) for pattern in self.apps)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, in their order: the first that covers a caller is its rule."""

    rules: tuple[CallerRule, ...]

    def rule_for(self, identities: Sequence[str]) -> CallerRule | None:
        """Return the rule of a caller with these names, None where it has none."""
        return next((rule for rule in self.rules if rule.covers(identities)), None)


def read_policy(content: bytes, place: str) -> Policy:
    """Return the policy in a file. Raises ConfigError, naming the entry."""
    try:
        tree = read(content.decode().removeprefix("\ufeff"), lambda: None)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except DocumentRejected as error:
        raise ConfigError("\n".join(f"{place}:{p.line}:{p.column}: {p.message}" for p in error.problems)) from error
    entries = tree.get("callers") if isinstance(tree, dict) and tree.keys() == {"callers"} else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(
            f"{place}: expected `callers:` with a list of rules such as {{name: all, match: [anonymous]}}"
        )
    rules: dict[str, CallerRule] = {}
    for index, entry in enumerate(entries):
        rule = _rule(entry, f"{place}: callers[{index}]")
        if rule.name in rules:
            raise ConfigError(f"{place}: callers[{index}].name: found {rule.name} a second time")
        rules[rule.name] = rule
    return Policy(tuple(rules.values()))


def _rule(entry: Tree, place: str) -> CallerRule:
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: expected a mapping with name and match")
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(f"{place}.{key}: no such key{_nearest(key, _KEYS)}; expected {', '.join(_KEYS)}")
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{place}.name: expected a name, which the error for refused callers shows")
    match = _texts(entry.get("match"), f"{place}.match", "identities such as uri:spiffe://example/*, dns:*.example")
    for pattern in match:
        if not _IDENTITY.fullmatch(pattern) and pattern != "*":
            raise ConfigError(
                f"{place}.match: found {pattern}, expected unix, anonymous, or a pattern that begins with "
                f"{', '.join(f'{kind}:' for kind in _KINDS)}"
            )
    calls = _texts(entry["calls"], f"{place}.calls", "calls") if "calls" in entry else CALLS
    for call in calls:
        if call not in CALLS:
            raise ConfigError(f"{place}.calls: found {call}{_nearest(call, CALLS)}; expected {', '.join(CALLS)}")
    apps = _texts(entry["apps"], f"{place}.apps", "applications or patterns") if "apps" in entry else ("*",)
    dispatch = entry.get("dispatch", "true")
    if dispatch not in ("true", "false"):
        raise ConfigError(f"{place}.dispatch: expected true or false")
    return CallerRule(
        name=name,
        match=match,
        calls=frozenset(calls),
        apps=apps,
        dispatch=dispatch == "true",
        rate=_bound(entry, "rate", place),
        concurrent=_bound(entry, "concurrent", place),
        streams=_bound(entry, "streams", place),
        candidates=_bound(entry, "candidates", place),
    )


def _nearest(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f": did you mean {close[0]}?" if close else ""


def _texts(tree: Tree, place: str, what: str) -> tuple[str, ...]:
    items = tree if isinstance(tree, list) else [tree]
    texts = tuple(item for item in items if isinstance(item, str) and item)
    if not texts or len(texts) < len(items):
        raise ConfigError(f"{place}: expected a list of {what}")
    return texts


def _bound(entry: dict[str, Tree], key: str, place: str) -> int | None:
    if key not in entry:
        return None
    text = entry[key]
    found = _RATE.fullmatch(text) if isinstance(text, str) else None
    if found is None or not int(found[1]):
        raise ConfigError(f"{place}.{key}: found {text!r}, expected a whole number, 1 or more")
    return int(found[1])
