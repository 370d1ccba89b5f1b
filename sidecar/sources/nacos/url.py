"""Parses the URL of a Nacos source: servers, namespace, group and data id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from sidecar.errors import ConfigError

SHAPE = "nacos://host:8848[,host2:8848]/GROUP/DATA_ID?namespace=NS"
ENDPOINT_SHAPE = "nacos+endpoint://host:8080/GROUP/DATA_ID?namespace=NS"
GRPC_OFFSET = 1000

_DEFAULT_PORT = 8848
_ENDPOINT_PORT = 8080
_ENDPOINT_SCHEME = "nacos+endpoint"
_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")


@dataclass(frozen=True, slots=True)
class NacosAddress:
    """One member of the cluster: its HTTP port; clients also connect by gRPC, to `port` + 1000."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """True if it is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NacosKey:
    """One key of one cluster. `namespace` is an id, "" for the namespace that the console calls public.

    With an `endpoint`, the address server that lists the servers, there are none here.
    """

    servers: tuple[NacosAddress, ...]
    group: str
    data_id: str
    namespace: str = ""
    context: str = "/nacos"
    endpoint: NacosAddress | None = None

    def __str__(self) -> str:
        parameters = [f"namespace={quote(self.namespace)}"] if self.namespace else []
        if self.context != "/nacos":
            parameters.append(f"context={quote(self.context)}")
        query = "?" + "&".join(parameters) if parameters else ""
        scheme, hosts = ("nacos", self.servers) if self.endpoint is None else (_ENDPOINT_SCHEME, (self.endpoint,))
        return f"{scheme}://{','.join(map(str, hosts))}/{quote(self.group)}/{quote(self.data_id)}{query}"


def parse(url: str) -> NacosKey:
    """Parse a URL. Raises ConfigError, which never repeats a part that may be a password."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigError(
            "The Nacos URL holds credentials, which do not belong there: set DC_SIDECAR_NACOS_USERNAME and "
            f"DC_SIDECAR_NACOS_PASSWORD_FILE, and write the URL as {SHAPE}."
        )
    if parts.scheme not in {"nacos", _ENDPOINT_SCHEME}:
        raise ConfigError(f"The Nacos URL begins with {parts.scheme!r}; expected {SHAPE}.")
    if parts.fragment:
        raise ConfigError(f"The Nacos URL ends in '#{parts.fragment}', which means nothing here; expected {SHAPE}.")
    path = [unquote(part) for part in parts.path.split("/")[1:]]
    if len(path) != 2 or not all(path):
        raise ConfigError(f"The Nacos URL's path is {parts.path!r}; expected /GROUP/DATA_ID as in {SHAPE}.")
    group, data_id = path
    namespace, context = _parameters(parts.query)
    _check_name("group", group, 128)
    _check_name("data id", data_id, 256)
    if data_id.startswith("cipher-"):
        raise ConfigError(
            f"The data id {data_id!r} is one that Nacos encrypts (cipher-…), which is not supported; use a plain one."
        )
    if namespace:
        _check_name("namespace", namespace, 128)
    if parts.scheme == _ENDPOINT_SCHEME:
        return NacosKey((), group, data_id, namespace, context, _endpoint(parts.netloc))
    servers = tuple(dict.fromkeys(map(server_of, parts.netloc.split(","))))
    return NacosKey(servers, group, data_id, namespace, context)


def server_of(address: str) -> NacosAddress:
    """Parse a server, `HOST` or `HOST:PORT`. Raises ConfigError."""
    host, number, port = _host_and_port(address, SHAPE, _DEFAULT_PORT)
    if number is None or not 0 < number <= 65535 - GRPC_OFFSET:
        raise ConfigError(
            f"The port of the Nacos server {address!r} is {port!r}; expected 1 to {65535 - GRPC_OFFSET} "
            f"(the clients' gRPC port is {GRPC_OFFSET} above it)."
        )
    return NacosAddress(host, number)


def _endpoint(address: str) -> NacosAddress:
    host, number, port = _host_and_port(address, ENDPOINT_SHAPE, _ENDPOINT_PORT)
    if number is None or not 0 < number <= 65535:
        raise ConfigError(f"The port of the address server {address!r} is {port!r}; expected 1 to 65535.")
    return NacosAddress(host, number)


def _host_and_port(address: str, shape: str, default: int) -> tuple[str, int | None, str]:
    host, colon, port = address.partition(":")
    if not _HOST.fullmatch(host):
        raise ConfigError(
            f"The Nacos URL names {address!r} as a server; expected a host name or an IPv4 address, as in {shape} "
            "(an IPv6 address only behind a name)."
        )
    return host, int(port) if port.isascii() and port.isdigit() else None if colon else default, port


def _parameters(query: str) -> tuple[str, str]:
    known = {"namespace": "", "context": "/nacos"}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            from difflib import get_close_matches  # noqa: PLC0415 - only an error needs it

            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"The Nacos URL has the unknown parameter {name!r}; known are {', '.join(sorted(known))}{hint}"
            )
        known[name] = value
    # The console shows the namespace with the empty id as "public"; servers before 3.0 do not know that id.
    namespace = "" if known["namespace"] == "public" else known["namespace"]
    context = "/" + known["context"].strip("/") if known["context"].strip("/") else ""
    return namespace, context


def _check_name(what: str, name: str, longest: int) -> None:
    if len(name) > longest or not _NAME.fullmatch(name):
        raise ConfigError(
            f"The {what} {name!r} in the Nacos URL is invalid; expected 1 to {longest} of A-Z a-z 0-9 . _ : -"
        )
