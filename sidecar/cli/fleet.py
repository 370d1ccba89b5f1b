"""Several sidecars at once: where they are, and whether they serve a revision."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import click

from sidecar.cli.connection import Connect
from sidecar.client import Status
from sidecar.config.kinds import ADDRESS
from sidecar.errors import ConfigError, NotServing, SidecarError

_LOOK = 0.1
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a sidecar said of a revision, and after how many seconds; `said` is what it served or why it did not."""

    address: str
    confirmed: bool
    after_s: float
    said: str


def addresses_of(named: Iterable[str]) -> list[tuple[str, str]]:
    """Return each sidecar's address with the name of its host, "" where it was an address already.

    `host:port` stands for all addresses of the host, `@FILE` for what a file names, one a line, # for comments.
    Raises ConfigError for what cannot be read or resolved.
    """
    found: dict[str, str] = {}
    for name in named:
        for address in _listed(Path(name[1:])) if name.startswith("@") else (name,):
            for one, host in _resolved(address):
                found.setdefault(one, host)
    return list(found.items())


def await_revision(
    named: Iterable[str], revision: str, seconds: float, *, connect: Connect, shown: bool
) -> list[Confirmation]:
    """Return what each sidecar said of a revision within some seconds; shown line by line as they confirm it."""
    began = time.monotonic()
    addresses = addresses_of(named)
    width = max(len(address) for address, _ in addresses)
    found: dict[str, Confirmation] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waits = [pool.submit(_await, one, revision, began, seconds, connect) for one in addresses]
        for wait in as_completed(waits):
            one = wait.result()
            found[one.address] = one
            if shown:
                word = click.style("confirmed", fg="green") if one.confirmed else click.style("missing  ", fg="red")
                click.echo(f"{one.address.ljust(width)}  {word}  {one.after_s:5.1f} s  {one.said}")
    return [found[address] for address, _ in addresses]


def statuses(named: Iterable[str], *, connect: Connect) -> list[tuple[str, Status | SidecarError]]:
    """Return what each sidecar says of itself, or why it says nothing."""
    addresses = addresses_of(named)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda one: _status(one, connect), addresses)
        return [(address, answer) for (address, _), answer in zip(addresses, answers, strict=True)]


def _status(sidecar: tuple[str, str], connect: Connect) -> Status | SidecarError:
    try:
        with connect(*sidecar) as client:
            return client.status()
    except SidecarError as error:
        return error


def _await(sidecar: tuple[str, str], revision: str, began: float, seconds: float, connect: Connect) -> Confirmation:
    said = "no answer"
    with connect(*sidecar) as client:
        while True:
            try:
                status = client.status()
                if status.revision == revision:
                    return Confirmation(sidecar[0], True, time.monotonic() - began, f"revision {revision}")
                said = _otherwise(status)
            except NotServing as error:
                said = str(error)
            if time.monotonic() - began > seconds:
                return Confirmation(sidecar[0], False, time.monotonic() - began, said)
            time.sleep(_LOOK)


def _otherwise(status: Status) -> str:
    serving = f"revision {status.revision}" if status.revision else "nothing"
    why = f": {status.source_error}" if status.source_error else ""
    return f"serves {serving} of {status.source} ({status.source_state.name}{why})"


def _listed(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--sidecar @{path}: the file cannot be read: {error}") from error
    for line in lines:
        address = line.partition("#")[0].strip()
        if address:
            yield address


def _resolved(address: str) -> Iterator[tuple[str, str]]:
    if ADDRESS.read(address) is None:
        raise ConfigError(f"--sidecar: found {address!r}, expected {ADDRESS.expected}")
    if address.startswith(("unix:", "[")):
        yield address, ""
        return
    host, _, port = address.rpartition(":")
    try:
        entries = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"--sidecar {address}: the host has no address: {error}") from error
    # One sidecar may have an address of each family: those of one are enough to reach all.
    families = {family for family, *_ in entries}
    family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    for found, _, _, _, (ip, *_) in entries:
        if found == family:
            yield (f"{ip}:{port}" if family == socket.AF_INET else f"[{ip}]:{port}"), ("" if ip == host else host)
