"""Running sidecars: how to reach them, what they serve and saw, and waiting until they serve a revision."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidecar import config
from sidecar.cli.options.contexts import CliContext, chosen
from sidecar.cli.options.flags import DEFAULT_ADDRESS
from sidecar.config.kinds import ADDRESS
from sidecar.editing.facts import LiveWorkers
from sidecar.errors import ConfigError, NotServing, SidecarError, SidecarUnreachable

if TYPE_CHECKING:
    from sidecar.client import RouteUpdate, RoutingClient, Status, Tls

_AT_ONCE = 32
_POLL_S = 0.1
# How long a call may take while sidecars are waited for.
_CALL_S = 2.0
# How long a call about live workers may take, and after how long no more are made.
_WORKERS_CALL_S = 1.0
_WORKERS_ENOUGH_S = 0.5
# Live workers that were seen longer ago are not believed.
_WORKERS_MAX_AGE_NS = 600 * 10**9
# How many applications are asked about, and how many sidecars: enough to find a fault, few enough to be quick.
_WORKERS_APPS = 200
_WORKERS_SIDECARS = 16
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a sidecar is; `host` is the name in its certificate, "" where that is the address's own host."""

    address: str
    host: str = ""


Connect = Callable[[Endpoint, float], "RoutingClient"]
"""Opens a connection to a sidecar, whose calls may take so many seconds. Raises ConfigError."""

OnRoutes = Callable[["RouteUpdate", int], None]
"""Takes the routes, and the epoch of the client that begins with them."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A sidecar's answer about a revision, and after how many seconds."""

    address: str
    confirmed: bool
    after_s: float
    said: str


def connecting(options: Mapping[str, Any], on_routes: OnRoutes | None = None) -> Connect:
    """Return how to connect by a command's TLS options; any of them makes it TLS.

    With `on_routes` a client watches the sidecar, and answers from memory.
    """

    def connect(endpoint: Endpoint, timeout: float) -> RoutingClient:
        # gRPC is loaded only where a sidecar is asked: completion has no time for it.
        from sidecar.client import RoutingClient  # noqa: PLC0415

        tls = tls_of(options, endpoint)
        if on_routes is not None:
            return RoutingClient(
                endpoint.address, tls=tls, timeout=timeout, on_routes=on_routes, token_file=options["token_file"]
            )
        return RoutingClient(endpoint.address, tls=tls, timeout=timeout, cache_size=0, token_file=options["token_file"])

    return connect


def named_sidecars(ctx: click.Context) -> tuple[str, ...]:
    """Return the sidecars of a SidecarCommand: as given, else those of the configuration. Raises ConfigError."""
    given = ctx.params["sidecar"]
    if given:
        return (given,) if isinstance(given, str) else tuple(given)
    name = ctx.params["context"]
    context = chosen(name)
    if name and context is not None:
        return _of_context(ctx, context)
    file = ctx.params["config_file"]
    if file or os.environ.get("DC_SIDECAR_SIDECAR"):
        values = config.resolve({"config": [file]} if file else {}, os.environ)
        named = next(value.texts for value in values if value.option.name == "sidecar")
        if named:
            return named
    return (DEFAULT_ADDRESS,) if file or context is None else _of_context(ctx, context)


def _of_context(ctx: click.Context, context: CliContext) -> tuple[str, ...]:
    """Return the sidecars of a context; its TLS options become the command's where none are given."""
    use_tls(ctx, context)
    return context.options.get("sidecar", (DEFAULT_ADDRESS,))


def use_tls(ctx: click.Context, context: CliContext | None) -> None:
    """Let a command connect to sidecars by the TLS options of a context, unless it was given some."""
    if context is not None and not any(
        ctx.params[key] for key in ("tls", "ca", "cert", "key", "server_name", "token_file")
    ):
        ctx.params |= {key: text if key == "server_name" else Path(text) for key, text in context.tls.items()}


def tls_of(options: Mapping[str, Any], endpoint: Endpoint) -> Tls | None:
    """Return a command's TLS options for a sidecar; None for a connection without TLS."""
    ca, cert, key = options["ca"], options["cert"], options["key"]
    if not (options["tls"] or ca or cert or key):
        return None
    from sidecar.client import Tls  # noqa: PLC0415 - as above

    return Tls(ca=ca, cert=cert, key=key, server_name=options["server_name"] or endpoint.host)


def open_client(ctx: click.Context, on_routes: OnRoutes | None = None) -> RoutingClient:
    """Return a connection to the sidecar of a SidecarCommand, of several to the first that answers.

    Raises ConfigError, and NotServing where none of several answers.
    """
    named = named_sidecars(ctx)
    connect, timeout = connecting(ctx.params, on_routes), ctx.params["timeout"]
    if len(named) == 1 and not named[0].startswith("@"):
        return connect(Endpoint(named[0]), timeout)
    failures = []
    for endpoint in resolve(named):
        client = connect(endpoint, timeout)
        try:
            client.status()
        except SidecarError as error:
            client.close()
            failures.append(error)
        else:
            return client
    raise none_answers(failures)


def none_answers(failures: Sequence[SidecarError]) -> NotServing:
    """Return the error of several sidecars of which none answers: SidecarUnreachable where nothing runs at any."""
    away = all(isinstance(failure, SidecarUnreachable) for failure in failures)
    kind = SidecarUnreachable if away else NotServing
    return kind(f"none of {len(failures)} sidecars answers; the first: {failures[0]}")


def resolve(named: Iterable[str]) -> list[Endpoint]:
    """Return where the named sidecars are, each address once.

    `host:port` stands for every address of the host, `@FILE` for the sidecars that a file names, one a line, # for
    comments. Raises ConfigError for names that cannot be read or resolved, and for a file that names none.
    """
    found: dict[str, Endpoint] = {}
    for name in named:
        for address in _listed(Path(name[1:])) if name.startswith("@") else (name,):
            for endpoint in _addresses(address):
                found.setdefault(endpoint.address, endpoint)
    return list(found.values())


def check_connections(endpoints: Iterable[Endpoint], connect: Connect) -> None:
    """Raise ConfigError where no connection can be opened, as by a certificate that cannot be read; sends nothing."""
    for endpoint in endpoints:
        connect(endpoint, _CALL_S).close()


def statuses(
    endpoints: Sequence[Endpoint], connect: Connect, timeout: float = _CALL_S
) -> list[tuple[Endpoint, Status | SidecarError]]:
    """Return the status of each sidecar, or why there is none."""

    def ask(endpoint: Endpoint) -> Status | SidecarError:
        try:
            with connect(endpoint, timeout) as client:
                return client.status()
        except SidecarError as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(zip(endpoints, pool.map(ask, endpoints), strict=True))


def live_workers(
    endpoints: Sequence[Endpoint], connect: Connect, apps: Collection[str], revision: str
) -> Mapping[str, LiveWorkers]:
    """Return the live workers of applications in the newest request of the last ten minutes that any sidecar answered.

    Where there is evidence of them, the newest evidence; else the fewest that any sidecar was shown.
    The first 16 sidecars are asked about the first 200 applications, for about a second. One that does not answer in
    time, or does not serve `revision` and so may follow another key, counts as having seen nothing.
    """
    asked = [*apps][:_WORKERS_APPS]
    deadline = time.monotonic() + _WORKERS_ENOUGH_S
    newest: dict[str, LiveWorkers] = {}
    with ThreadPoolExecutor(_WORKERS_SIDECARS) as pool:
        for found in pool.map(
            lambda endpoint: _seen(endpoint, connect, asked, revision, deadline), endpoints[:_WORKERS_SIDECARS]
        ):
            for app, workers in found.items():
                newest[app] = workers.combined(newest[app]) if app in newest else workers
    return newest


def _seen(
    endpoint: Endpoint, connect: Connect, apps: Iterable[str], revision: str, deadline: float
) -> dict[str, LiveWorkers]:
    found: dict[str, LiveWorkers] = {}
    oldest = time.time_ns() - _WORKERS_MAX_AGE_NS
    with connect(endpoint, _WORKERS_CALL_S) as client:
        for app in apps:
            if time.monotonic() > deadline:
                break
            try:
                route = client.route(app)
            except SidecarError:
                break
            if route.revision != revision:
                break
            at_ns = route.workers_seen_at_ms * _NS_PER_MS
            if at_ns > oldest:
                # A sidecar that counts has counted the run of the newest request.
                fewest = dict(route.fewest_workers) if route.workers_runs else None
                found[app] = LiveWorkers(dict(route.workers), at_ns, fewest, route.workers_runs)
    return found


def wait_for_revision(
    endpoints: Sequence[Endpoint],
    connect: Connect,
    revision: str,
    seconds: float,
    report: Callable[[Confirmation], None] = lambda _: None,
) -> list[Confirmation]:
    """Wait until each sidecar serves a revision, for some seconds; report each answer as it comes, and return all."""
    began = time.monotonic()
    cancelled = threading.Event()

    def wait(endpoint: Endpoint) -> Confirmation:
        said = _poll(endpoint, connect, revision, began + seconds, cancelled)
        after_s = time.monotonic() - began
        confirmed = said is None
        return Confirmation(endpoint.address, confirmed, after_s, f"revision {revision}" if said is None else said)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waits = [pool.submit(wait, endpoint) for endpoint in endpoints]
        try:
            for done in as_completed(waits):
                report(done.result())
        finally:
            # On Ctrl-C too, nothing is waited for any longer.
            cancelled.set()
            pool.shutdown(cancel_futures=True)
    return [done.result() for done in waits]


def _poll(
    endpoint: Endpoint, connect: Connect, revision: str, deadline: float, cancelled: threading.Event
) -> str | None:
    """Ask until a sidecar serves a revision; return None then, and at the deadline its last answer."""
    try:
        with connect(endpoint, _CALL_S) as client:
            while True:
                try:
                    status = client.status()
                    if status.revision == revision:
                        return None
                    said = _serves(status)
                except SidecarError as error:
                    said = str(error)
                if time.monotonic() > deadline or cancelled.wait(_POLL_S):
                    return said
    except ConfigError as error:
        return str(error)


def _serves(status: Status) -> str:
    serving = f"revision {status.revision}" if status.revision else "nothing"
    if status.gray is not None:
        serving += f", a gray version ({status.gray.rule}),"
    why = f": {status.source_error}" if status.source_error else ""
    return f"serves {serving} of {status.source} ({status.source_state.name}{why})"


def _listed(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"--sidecar @{path}: the file cannot be read: {why}") from error
    addresses = [address for line in lines if (address := line.partition("#")[0].strip())]
    if not addresses:
        raise ConfigError(f"--sidecar @{path}: the file names no sidecar, expected one address per line")
    yield from addresses


def _addresses(address: str) -> Iterator[Endpoint]:
    if ADDRESS.read(address) is None:
        raise ConfigError(f"--sidecar: found {address!r}, expected {ADDRESS.expected}, or @FILE")
    if address.startswith(("unix:", "[")):
        yield Endpoint(address)
        return
    host, _, port = address.rpartition(":")
    try:
        entries = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a host name"
        raise ConfigError(
            f"--sidecar {address}: the host cannot be resolved ({why}): check the name, or give an IP address"
        ) from error
    # One sidecar may have an address of each family: those of one are enough to reach all.
    families = {family for family, *_ in entries}
    family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    for found, _, _, _, (ip, *_) in entries:
        if found == family:
            target = f"{ip}:{port}" if family == socket.AF_INET else f"[{ip}]:{port}"
            yield Endpoint(target, "" if ip == host else host)
