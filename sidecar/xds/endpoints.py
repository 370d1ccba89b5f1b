"""Where applications can be reached, by datacenter: the file of `--xds-endpoints`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address

from sidecar.errors import ConfigError, DocumentRejected
from sidecar.footprint import NODE, Footprint
from sidecar.routing.fields import A_NAME, TEXT, shown
from sidecar.routing.location import NAME
from sidecar.yaml_reader import Checkpoint, Path, Tree, places, read, show

MAX_ENDPOINTS = 20_000
"""Endpoints of a file."""
MAX_OF_DATACENTER = 1000
"""Endpoints of an application in one datacenter."""
MAX_APPS = 10_000
MAX_DATACENTERS = 100
"""Datacenters of one application."""
MAX_WEIGHT = 1000
# Keys, items, mappings and lists: five for each endpoint with a weight, four for each datacenter of an application.
_MAX_ENTRIES = 200_000

_AN_ENDPOINT = "an IP address and a port such as 10.1.0.20:8000 or '[fd00::1]:8000'"
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server of an application: its IP address, its port, and its weight beside the others of its datacenter."""

    host: str
    port: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of applications; `revision` is the first 12 hex digits of SHA-256 over the file's bytes."""

    revision: str = ""
    apps: Mapping[str, Mapping[str, tuple[Endpoint, ...]]] = field(default_factory=dict)

    def of(self, app: str) -> Mapping[str, tuple[Endpoint, ...]]:
        """Return an application's endpoints by datacenter; none where the file does not name it."""
        return self.apps.get(app, {})

    @property
    def count(self) -> int:
        """How many endpoints there are."""
        return sum(len(found) for by_datacenter in self.apps.values() for found in by_datacenter.values())


class _WrongEntryError(Exception):
    """An entry that is not as expected."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def read_endpoints(content: bytes, place: str, checkpoint: Checkpoint = lambda: None) -> Endpoints:
    """Return the endpoints in a file; `checkpoint` is called often. Raises ConfigError, naming the place."""
    text = ""
    footprint = Footprint(_MAX_ENTRIES * NODE)
    try:
        text = content.decode().removeprefix("\ufeff")
        apps = _apps(read(text, checkpoint, footprint=footprint), checkpoint)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except DocumentRejected as error:
        if footprint.needed > footprint.allowed:
            raise ConfigError(f"{place}: {_too_many('more')}") from None
        raise ConfigError("\n".join(f"{place}:{p.line}:{p.column}: {p.message}" for p in error.problems)) from error
    except _WrongEntryError as error:
        position = places(text, wanted=(error.path,), checkpoint=checkpoint).get(error.path)
        where = f":{position.key[0]}:{position.key[1]}" if position else ""
        name = f" {show(error.path)}:" if error.path else ""
        raise ConfigError(f"{place}{where}:{name} {error}") from None
    endpoints = Endpoints(sha256(content).hexdigest()[:12], apps)
    if endpoints.count > MAX_ENDPOINTS:
        raise ConfigError(f"{place}: {_too_many(str(endpoints.count))}")
    return endpoints


def _too_many(found: str) -> str:
    return f"found {found} endpoints, expected at most {MAX_ENDPOINTS}: give applications to sidecars of their own"


def _apps(tree: Tree, checkpoint: Checkpoint) -> Mapping[str, Mapping[str, tuple[Endpoint, ...]]]:
    expected = "`apps:` with a mapping of applications, such as {billing: {dc1: ['10.1.0.20:8000']}}"
    if not isinstance(tree, dict):
        raise _WrongEntryError((), f"found {shown(tree)}, expected {expected}")
    for key in tree:
        if key != "apps":
            raise _WrongEntryError((key,), "no such key, expected apps only")
    apps = tree.get("apps", "")
    if not isinstance(apps, dict):
        raise _WrongEntryError((), f"found {shown(apps)} as apps, expected {expected}")
    if len(apps) > MAX_APPS:
        raise _WrongEntryError(("apps",), f"found {len(apps)} applications, expected at most {MAX_APPS}")
    return {app: _datacenters(app, entry, checkpoint) for app, entry in apps.items()}


def _datacenters(app: str, tree: Tree, checkpoint: Checkpoint) -> Mapping[str, tuple[Endpoint, ...]]:
    path = ("apps", app)
    if not TEXT.fullmatch(app):
        expected = "the name of an application, 1 to 256 characters, no control characters"
        raise _WrongEntryError(path, f"found {shown(app)}, expected {expected}")
    if not isinstance(tree, dict):
        raise _WrongEntryError(path, f"found {shown(tree)}, expected a mapping of datacenters to lists of endpoints")
    if len(tree) > MAX_DATACENTERS:
        raise _WrongEntryError(path, f"found {len(tree)} datacenters, expected at most {MAX_DATACENTERS}")
    return {name: _endpoints((*path, name), entry, checkpoint) for name, entry in tree.items()}


def _endpoints(path: tuple[str, str, str], tree: Tree, checkpoint: Checkpoint) -> tuple[Endpoint, ...]:
    if not NAME.fullmatch(path[-1]):
        raise _WrongEntryError(path, f"found {shown(path[-1])}, expected {A_NAME}")
    if not isinstance(tree, list):
        raise _WrongEntryError(path, f"found {shown(tree)}, expected a list of endpoints, each {_AN_ENDPOINT}")
    if len(tree) > MAX_OF_DATACENTER:
        raise _WrongEntryError(path, f"found {len(tree)} endpoints, expected at most {MAX_OF_DATACENTER}")
    found: dict[tuple[str, int], Endpoint] = {}
    for number, entry in enumerate(tree):
        checkpoint()
        endpoint = _endpoint((*path, number), entry)
        key = endpoint.host, endpoint.port
        if key in found:
            raise _WrongEntryError((*path, number), f"found {shown(_address(entry))} a second time, expected it once")
        found[key] = endpoint
    return tuple(found.values())


def _endpoint(path: Path, tree: Tree) -> Endpoint:
    weight: Tree = "1"
    if isinstance(tree, dict):
        for key in tree:
            if key not in ("address", "weight"):
                raise _WrongEntryError((*path, key), "no such key, expected address and weight")
        weight = tree.get("weight", "1")
    number = _integer(weight, MAX_WEIGHT)
    if number is None:
        raise _WrongEntryError(
            path,
            f"found the weight {shown(weight)}, expected a whole number from 1 to {MAX_WEIGHT}: leave out an "
            "endpoint that is to get nothing",
        )
    address = _address(tree)
    host, _, port_text = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        ip = None
    port = _integer(port_text, _MAX_PORT)
    if ip is None or port is None or bracketed is not (ip.version == 6):
        raise _WrongEntryError(
            path, f"found {shown(address)}, expected {_AN_ENDPOINT}: gRPC clients look up no names of endpoints"
        )
    return Endpoint(str(ip), port, number)


def _address(tree: Tree) -> Tree:
    return tree.get("address") if isinstance(tree, dict) else tree


def _integer(tree: Tree, most: int) -> int | None:
    """Return a whole number from 1 to `most`, None for anything else."""
    if not isinstance(tree, str) or not (tree.isascii() and tree.isdigit()) or len(tree) > len(str(most)):
        return None
    return int(tree) if 1 <= int(tree) <= most else None
