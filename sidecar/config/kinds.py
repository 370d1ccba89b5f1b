"""The kinds of option values: how each is parsed, and the expected form in its error message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from sidecar.config.hosts import HostPattern, read_pattern
from sidecar.routing.scalars import SECOND_NS, parse_duration
from sidecar.trust.app_signers import AppSigners, read_app_signers, read_fewer
from sidecar.trust.limit_rules import LimitRule, read_limit

T_co = TypeVar("T_co", covariant=True)

_SIZE = re.compile(r"([0-9]{1,12})\s*(B|KiB|MiB|GiB)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_HTTP_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s]*)?")
# No other braces: a misspelt {datacenter} would be part of every name.
_CLUSTER = re.compile(r"(?=.*\{dc\})(?:[^\x00-\x1f\x7f{}]|\{dc\}|\{app\}){1,256}")
_PORT = re.compile(r"[0-9]{1,5}")
# gRPC has message sizes as signed 32-bit numbers; nothing else needs to be larger.
_MAX_SIZE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A kind of value: `read` parses a text, and returns None for an invalid one; `expected` describes a valid one."""

    metavar: str
    expected: str
    read: Callable[[str], T_co | None]
    choices: tuple[str, ...] = ()


def _size(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    size = int(match[1]) * _SIZE_UNITS[(match[2] or "").lower()]
    return size if 0 < size <= _MAX_SIZE else None


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 0 else None


def _duration(text: str) -> float | None:
    nanoseconds = 0 if text == "0" else parse_duration(text)
    return None if nanoseconds is None else nanoseconds / SECOND_NS


def _address(text: str) -> str | None:
    if text.startswith("unix:"):
        return text if len(text) > len("unix:") else None
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not _PORT.fullmatch(port):
        return None
    return text if int(port) < 2**16 else None


def _list(text: str) -> list[Any] | None:
    try:
        found = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


LABEL: Kind[str] = Kind(
    "NAME", "up to 64 letters, digits and ._-", lambda text: text if re.fullmatch(r"[\w.-]{1,64}", text) else None
)
CLUSTER: Kind[str] = Kind(
    "TEMPLATE", "a name with {dc} in it, such as {app}-{dc}", lambda text: text if _CLUSTER.fullmatch(text) else None
)
TEXT: Kind[str] = Kind("TEXT", "a text", lambda text: text or None)
PATH: Kind[Path] = Kind("PATH", "a path", lambda text: Path(text) if text else None)
URL: Kind[str] = Kind("URL", "a URL such as file:/etc/dc-sidecar/routing.yaml", lambda text: text or None)
HTTP_URL: Kind[str] = Kind(
    "URL", "a URL such as https://docs.example/dc-sidecar/", lambda text: text if _HTTP_URL.fullmatch(text) else None
)
SIZE: Kind[int] = Kind("SIZE", "a size from 1 byte to 2 GiB such as 512KiB, 1MiB or a number of bytes", _size)
COUNT: Kind[int] = Kind("N", "a whole number, 1 or more", _count)
DURATION: Kind[float] = Kind("DURATION", "a duration such as 500ms, 10s or 1m30s", _duration)
ADDRESS: Kind[str] = Kind("ADDR", "host:port, [IPv6 address]:port or unix:/path", _address)
HOSTS: Kind[HostPattern] = Kind("HOST", "a name, *.domain or a network, :port behind it or not", read_pattern)
APP_SIGNERS: Kind[AppSigners] = Kind(
    "PATTERN=NAMES", "applications and signers such as payments-*=alice,bob", read_app_signers
)
FEWER: Kind[tuple[str, int]] = Kind("KIND=N", "drill=N, mark=N or pin=N, N 1 or more", read_fewer)
LIMIT: Kind[LimitRule] = Kind("RULE", "apps=N, down=N, left=N or left:PATTERN=N", read_limit)
MODE: Kind[int] = Kind(
    "MODE",
    "permissions as an octal number such as 0660",
    lambda text: int(text, 8) if re.fullmatch(r"0?[0-7]{3}", text) else None,
)
OWNER: Kind[str] = Kind(
    "OWNER",
    "USER, USER:GROUP or :GROUP",
    lambda text: text if re.fullmatch(r"[\w.-]+(:[\w.-]+)?|:[\w.-]+", text) else None,
)
LIST: Kind[list[Any]] = Kind("JSON", "a list", _list)
SWITCH: Kind[bool] = Kind("", "true or false", lambda text: _SWITCH.get(text.lower()))


def choice(*words: str) -> Kind[str]:
    """Return the kind of values that are one of some words."""
    return Kind("|".join(words), " or ".join(words), lambda text: text if text in words else None, words)
