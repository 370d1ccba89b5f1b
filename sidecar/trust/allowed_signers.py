"""Reads OpenSSH's file of allowed signers: whose keys may sign, from when, until when, and for what."""

from __future__ import annotations

import base64
import binascii
import re
import time
from calendar import timegm
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from sidecar.errors import ConfigError

_FIELD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="([^"]*)")?(?:,|\Z)')
_TIME = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?(Z?)", re.IGNORECASE)
_TYPES = re.compile(
    r"ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)


@dataclass(frozen=True, slots=True)
class AllowedKey:
    """A key of a signer, and the seconds (Unix) between which it may sign; None for no bound."""

    signer: str
    key: bytes
    valid_after: int | None = None
    valid_before: int | None = None

    def reason_against(self, at_s: float) -> str:
        """Return why the key may not sign at a time, "" if it may."""
        if self.valid_after is not None and at_s < self.valid_after:
            return f"not valid before {_shown(self.valid_after)}"
        if self.valid_before is not None and at_s > self.valid_before:
            return f"not valid after {_shown(self.valid_before)}"
        return ""


@dataclass(frozen=True, slots=True)
class AllowedSigners:
    """The keys by their blobs. `names` has for each name in the file the signer that it stands for.

    All names that lines share are one signer, so nobody counts twice; it is called by the first of them.
    """

    keys: Mapping[bytes, tuple[AllowedKey, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def signers(self) -> tuple[str, ...]:
        """The signers, in the order of the file."""
        return tuple(dict.fromkeys(self.names.values()))


@dataclass(frozen=True, slots=True)
class _Line:
    names: tuple[str, ...]
    key: bytes
    valid_after: int | None
    valid_before: int | None


def read_allowed_signers(text: str, place: str, namespace: str) -> AllowedSigners:
    """Return the signers of a file that may sign for a namespace. Raises ConfigError, naming the line.

    Lines for certificates and lines with patterns for names count for nobody, and are warned of: signatures are counted
    by name.
    """
    warnings: list[str] = []
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            found = _line(stripped, f"{place}:{number}", namespace, warnings)
            if found is not None:
                lines.append(found)
    names = _merged(lines)
    keys: dict[bytes, tuple[AllowedKey, ...]] = {}
    for each in lines:
        allowed = AllowedKey(names[each.names[0]], each.key, each.valid_after, each.valid_before)
        others = keys.get(each.key, ())
        if others and others[0].signer != allowed.signer:
            raise ConfigError(
                f"{place}: {others[0].signer} and {allowed.signer} have the same key: give each one's own"
            )
        keys[each.key] = (*others, allowed)
    if not keys:
        raise ConfigError(
            f"{place}: found nobody who may sign for {namespace}, expected lines such as "
            "`alice ssh-ed25519 AAAAC3NzaC1lZDI1NTE5…`"
        )
    return AllowedSigners(keys, names, tuple(warnings))


def _line(line: str, place: str, namespace: str, warnings: list[str]) -> _Line | None:
    """Return the signer that a line allows, None if it allows none for this namespace."""
    fields = _FIELD.findall(line)
    options = ""
    if len(fields) > 2 and not _TYPES.fullmatch(fields[1]):
        options = fields.pop(1)
    if len(fields) < 3 or not _TYPES.fullmatch(fields[1]):
        raise ConfigError(f"{place}: expected NAME [OPTIONS] KEYTYPE KEY, with a key type such as ssh-ed25519")
    try:
        key = base64.b64decode(fields[2], validate=True)
    except (binascii.Error, ValueError):
        key = b""
    kind = fields[1].encode()
    if not key.startswith(len(kind).to_bytes(4, "big") + kind):
        raise ConfigError(f"{place}: found {fields[2][:20]}…, expected a public key of type {fields[1]}")
    given = dict(_options(options, place))
    if "cert-authority" in given:
        warnings.append(f"{place}: certificates are not supported as signatures: this line is not used")
        return None
    names = tuple(name for name in fields[0].strip('"').split(",") if name)
    if not names or any(set(name) & set("*?!") for name in names):
        warnings.append(f"{place}: signatures are counted by name, and this is a pattern: this line is not used")
        return None
    if not _matches(given.get("namespaces"), namespace):
        return None
    after, before = (_time(given.get(name), name, place) for name in ("valid-after", "valid-before"))
    return _Line(names, key, after, before)


def _options(text: str, place: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _OPTION.match(text, position)
        name = found[1].lower() if found else ""
        if found is None or name not in ("namespaces", "valid-after", "valid-before", "cert-authority"):
            raise ConfigError(
                f'{place}: found the options {text}, expected namespaces="…", valid-after="…", valid-before="…"'
            )
        yield name, found[2] or ""
        position = found.end()


def _matches(patterns: str | None, namespace: str) -> bool:
    """Return whether a list of patterns, as OpenSSH has them, covers a namespace; no list covers all."""
    if patterns is None:
        return True
    listed = [pattern.strip() for pattern in patterns.split(",")]
    if any(one.startswith("!") and _like(namespace, one[1:]) for one in listed):
        return False
    return any(_like(namespace, one) for one in listed)


def _like(namespace: str, pattern: str) -> bool:
    # OpenSSH knows no classes of characters.
    return fnmatchcase(namespace, pattern.replace("[", "[[]"))


def _time(text: str | None, name: str, place: str) -> int | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is not None:
        digits = (found[1] + (found[2] or "")).ljust(14, "0")
        try:
            parts = time.strptime(digits, "%Y%m%d%H%M%S")
            return timegm(parts) if found[3] else int(time.mktime(parts))
        except (ValueError, OverflowError):
            pass
    raise ConfigError(f"{place}: {name}: found {text}, expected a time such as 20261231 or 20261231120000Z")


def _shown(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def _merged(lines: list[_Line]) -> dict[str, str]:
    """Return for each name the first name of all that are connected to it by lines."""
    names: dict[str, str] = {}
    for line in lines:
        known = [names[name] for name in line.names if name in names]
        first = next((signer for signer in dict.fromkeys(names.values()) if signer in known), line.names[0])
        for name in line.names:
            names.setdefault(name, first)
        for name, signer in names.items():
            if signer in known:
                names[name] = first
    return names
