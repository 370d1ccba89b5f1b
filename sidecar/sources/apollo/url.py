"""Parses the URL of an Apollo source: meta servers, application, cluster, namespace and key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from sidecar.errors import ConfigError

SHAPE = "apollo://META:8080[,META2:8080]/APP_ID/CLUSTER/NAMESPACE[#KEY]"
CONTENT_KEY = "content"
"""The key that holds the text of a namespace that is not of properties."""

DEFAULT_CLUSTER = "default"

_DEFAULT_PORT = 8080
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_TEXT_FORMATS = (".yaml", ".yml", ".json", ".txt", ".xml")


@dataclass(frozen=True, slots=True)
class ApolloAddress:
    """An HTTP server of Apollo; `path` precedes each request's path, without a slash at its end."""

    host: str
    port: int
    tls: bool = False
    path: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ApolloKey:
    """One key of one namespace; `key` is `content` where the namespace is not of properties."""

    meta: tuple[ApolloAddress, ...]
    app: str
    cluster: str
    namespace: str
    key: str

    def __str__(self) -> str:
        scheme = "apollo+https" if self.meta[0].tls else "apollo"
        path = "/".join(map(quote, (self.app, self.cluster, self.namespace)))
        fragment = "" if self.key == CONTENT_KEY and is_text(self.namespace) else f"#{quote(self.key)}"
        return f"{scheme}://{','.join(map(str, self.meta))}/{path}{fragment}"

    @property
    def name(self) -> str:
        """The key's name in messages."""
        return f"key {self.key} of namespace {self.namespace} of {self.app}"


def is_text(namespace: str) -> bool:
    """Return whether a namespace holds one text, as its suffix says, and not properties."""
    return namespace.lower().endswith(_TEXT_FORMATS)


def parse(url: str) -> ApolloKey:
    """Parse a URL. Raises ConfigError, which never repeats a part that may be a password."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigError(
            "The Apollo URL holds credentials, which do not belong there: set DC_SIDECAR_APOLLO_ACCESS_KEY_FILE, and "
            f"write the URL as {SHAPE}."
        )
    if parts.scheme not in {"apollo", "apollo+https"}:
        raise ConfigError(f"The Apollo URL begins with {parts.scheme!r}; expected {SHAPE}.")
    if parts.query:
        raise ConfigError(f"The Apollo URL has parameters (?{parts.query}), expected none: {SHAPE}.")
    path = [unquote(part) for part in parts.path.split("/")[1:]]
    if len(path) != 3 or not all(map(_NAME.fullmatch, path)):
        raise ConfigError(
            f"The Apollo URL's path is {parts.path!r}; expected /APP_ID/CLUSTER/NAMESPACE of A-Z a-z 0-9 . _ - as in "
            f"{SHAPE}; the cluster of most applications is {DEFAULT_CLUSTER!r}."
        )
    app, cluster, namespace = path
    if namespace.lower().endswith(".properties"):
        namespace = namespace[: -len(".properties")]
    key = unquote(parts.fragment)
    if is_text(namespace):
        if key:
            raise ConfigError(
                f"The Apollo URL names the key {key!r}, but namespace {namespace} holds one text: leave #{key} out."
            )
        key = CONTENT_KEY
    elif not _NAME.fullmatch(key):
        raise ConfigError(
            f"Namespace {namespace} of the Apollo URL is one of properties, and its key is {key!r}; expected #KEY at "
            "the end of the URL, or the namespace's whole name, such as routing.yaml."
        )
    tls = parts.scheme == "apollo+https"
    return ApolloKey(_servers(parts.netloc, tls=tls), app, cluster, namespace, key)


def parse_address(url: str, what: str) -> ApolloAddress:
    """Return the address of `http://host:port/path`; `what` is its name in errors. Raises ConfigError."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port or "@" in parts.netloc or parts.query:
        raise ConfigError(f"{what} is not the URL of a server; expected one such as http://host:8080, no user in it.")
    return ApolloAddress(parts.hostname, port, parts.scheme == "https", parts.path.rstrip("/"))


def _servers(netloc: str, *, tls: bool) -> tuple[ApolloAddress, ...]:
    servers = []
    for address in netloc.split(","):
        host, colon, port = address.partition(":")
        if not _HOST.fullmatch(host):
            raise ConfigError(
                f"The Apollo URL names {address!r} as a meta server; expected a host name or an IPv4 address, as in "
                f"{SHAPE} (an IPv6 address only behind a name)."
            )
        number = int(port) if port.isascii() and port.isdigit() else None if colon else _DEFAULT_PORT
        if number is None or not 0 < number <= 65535:
            raise ConfigError(f"The port of the meta server {address!r} is {port!r}; expected 1 to 65535.")
        servers.append(ApolloAddress(host, number, tls))
    return tuple(dict.fromkeys(servers))
