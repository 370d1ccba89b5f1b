"""The real sidecar as a process of a test, and a scheduler that calls it without a pause.

with SidecarProcess(f"file:{document}", folder=tmp_path) as sidecar, Caller(sidecar.address) as caller:
    server.kill()
    caller.until(lambda answer: answer.stale, "answers that say they are stale")
caller.no_failures()
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

import grpc
import psutil
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.servers.process import ServerProcess
from tests.waiting import eventually

SERVICE = "/dcsidecar.v1.RoutingService/"
HEALTH = "/grpc.health.v1.Health/"
CANDIDATES: Mapping[str, int] = {"dc1": 2, "dc2": 2, "dc3": 2}

# A restarted sidecar is found again within a fifth of a second; by itself gRPC would wait longer and longer.
_RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    # How long one attempt may take: a busy machine needs more than the 50 ms.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", -1),
    # Not the connection of another client in this process.
    ("grpc.use_local_subchannel_pool", 1),
)

M = TypeVar("M", bound=Message)


class Updates(Protocol):
    """What a watcher is sent: `next` waits for an update, and raises grpc.RpcError when the watch has ended."""

    def __iter__(self) -> Iterator[pb.RouteUpdate]: ...
    def __next__(self) -> pb.RouteUpdate: ...
    def cancel(self) -> None: ...


class Client:
    """Calls a sidecar: the five methods on one connection, closed at the end as a context manager.

    `address` is `127.0.0.1:50051` or `unix:/path`. Every call has `within` seconds, and raises grpc.RpcError.
    """

    def __init__(
        self, address: str, *, within: float = 5.0, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self.within = within
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options=_RECONNECT)
        else:
            self.channel = grpc.secure_channel(address, credentials, options=_RECONNECT)
        self._watch = self.channel.unary_stream(SERVICE + "WatchRoutes", _encode, pb.RouteUpdate.FromString)
        self._stream = self.channel.stream_stream(
            SERVICE + "FilterWorkersStream", _encode, pb.FilterWorkersResponse.FromString
        )
        self._filter = self._unary("FilterWorkers", pb.FilterWorkersResponse)
        self._route = self._unary("GetRoute", pb.AppRoute)
        self._status = self._unary("GetStatus", pb.SidecarStatus)
        self._health = self._unary("Check", HealthCheckResponse, service=HEALTH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def filter(self, request: pb.FilterWorkersRequest | None = None) -> pb.FilterWorkersResponse:
        return self._filter(request or a_request())

    def route(self, app: str = "", job: str = "") -> pb.AppRoute:
        return self._route(pb.GetRouteRequest(app=app, job=job))

    def status(self) -> pb.SidecarStatus:
        return self._status(pb.GetStatusRequest())

    def healthy(self) -> bool:
        answer = self._health(HealthCheckRequest())
        return bool(answer.status == HealthCheckResponse.SERVING)

    def watch(self, *apps: str) -> Updates:
        """Begin to watch; without a time limit, so cancel it or close the client."""
        return cast("Updates", self._watch(pb.WatchRoutesRequest(apps=apps)))

    def stream(self, requests: Sequence[pb.FilterWorkersRequest]) -> list[pb.FilterWorkersResponse]:
        return list(self._stream(iter(requests), timeout=self.within))

    def _unary(self, method: str, kind: type[M], service: str = SERVICE) -> Callable[[Message], M]:
        call = self.channel.unary_unary(service + method, _encode, kind.FromString)

        def ask(request: Message) -> M:
            answer = call(request, timeout=self.within)
            assert isinstance(answer, kind)
            return answer

        return ask


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return the status that a call ended with."""
    assert isinstance(error, grpc.Call)
    return error.code()


def details_of(error: grpc.RpcError) -> str:
    """Return the message that a call ended with."""
    assert isinstance(error, grpc.Call)
    return error.details() or ""


def _encode(message: Message) -> bytes:
    return message.SerializeToString()


def a_request(
    app: str = "billing",
    job: str = "7",
    candidates: Mapping[str, int] = CANDIDATES,
    instance: str = "",
    *,
    dispatch: bool = False,
) -> pb.FilterWorkersRequest:
    """Return a request for a job, with this many candidates in each datacenter."""
    workers = [
        pb.Worker(address=f"{datacenter}-{number}:27777", datacenter=datacenter)
        for datacenter, count in candidates.items()
        for number in range(count)
    ]
    return pb.FilterWorkersRequest(app=app, job=job, instance=instance, candidates=workers, dispatch=dispatch)


class SidecarProcess(ServerProcess):
    """`dc-sidecar serve` as a process, on a Unix socket or where `listen` says (`address`), its log in `folder`.

    `start` returns when it serves a document; with `wait_for_document=False` when it answers at all. `arguments` are
    more flags of `serve`, such as `"--state-dir", str(path)` or another `"--listen"`; `module` runs in place of the
    sidecar's own, where a test adds something to it.
    """

    def __init__(
        self,
        source: str,
        *arguments: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        module: str = "sidecar",
        listen: str = "",
        wait_for_document: bool = True,
        within: float = 20.0,
    ) -> None:
        # Not in `folder`: paths of tests are soon longer than the 107 bytes that a socket's may have.
        self._sockets = Path(tempfile.mkdtemp(prefix="sidecar-"))
        self.address = listen or f"unix:{self._sockets}/s"
        command = [sys.executable, "-m", module, "serve", "--source", source, "--listen", self.address]
        super().__init__(
            [*command, *arguments],
            ready=self._serves if wait_for_document else self._answers,
            log=folder / "sidecar.log",
            env=env,
            within=within,
        )
        self.client = Client(self.address)

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.client.channel.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def status(self) -> pb.SidecarStatus:
        return self.client.status()

    def filter(self, request: pb.FilterWorkersRequest | None = None) -> pb.FilterWorkersResponse:
        return self.client.filter(request)

    def healthy(self) -> bool:
        """Ask the health service whether it is ready for calls."""
        return self.client.healthy()

    def log_text(self) -> str:
        """Return all that it logged, over all its starts."""
        return self.log.read_text(errors="replace")

    @property
    def rss(self) -> int:
        """Its resident memory in bytes."""
        return psutil.Process(self.pid).memory_info().rss

    @property
    def cpu(self) -> float:
        """The CPU time it has taken, in seconds."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def end(self, how: signal.Signals = signal.SIGTERM, within: float = 20.0) -> int:
        """Send it a signal and return its exit status, negative for a signal's number; fail if it outlives `within`."""
        process = self._process
        assert process is not None, "the sidecar is not running"
        process.send_signal(how)
        status = process.wait(within)
        # Nothing is left to end, but it is to be crossed off the list of what may not outlive the tests.
        self.kill()
        return status

    def _answers(self) -> bool:
        try:
            self.client.status()
        except grpc.RpcError:
            return False
        return True

    def _serves(self) -> bool:
        try:
            return self.client.status().revision != ""
        except grpc.RpcError:
            return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call was answered, and when it began and how long it took (monotonic seconds)."""

    at: float
    took: float
    revision: str
    generation: int
    datacenter: str
    stale: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """What one call ended with instead of an answer, and when it began (monotonic seconds)."""

    at: float
    code: grpc.StatusCode
    details: str


class Caller:
    """A scheduler that asks for the same job again and again, from entering to leaving, and keeps every answer.

    It pauses `every` seconds between calls; each call has `within` seconds.
    """

    def __init__(
        self,
        address: str,
        *,
        app: str = "billing",
        job: str = "7",
        candidates: Mapping[str, int] = CANDIDATES,
        every: float = 0.01,
        within: float = 5.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.answers: list[Answer] = []
        self.failures: list[Failure] = []
        self._client = Client(address, within=within, credentials=credentials)
        self._request = a_request(app, job, candidates)
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def __enter__(self) -> Self:
        """Begin to call; return once the first call has ended, so that what a test does next comes after it."""
        self._thread.start()
        eventually(lambda: self.answers or self.failures, "the end of the first call")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End calling; the call under way is waited for."""
        self._stopping.set()
        self._thread.join()
        self._client.channel.close()

    def until(self, probe: Callable[[Answer], object], what: str, *, within: float = 20.0) -> Answer:
        """Wait for an answer that `probe` likes, from now on; fail after `within` seconds, naming `what`."""
        seen = len(self.answers)

        def found() -> Answer | None:
            return next((answer for answer in self.answers[seen:] if probe(answer)), None)

        answer = eventually(found, what, within=within)
        assert answer is not None
        return answer

    def refused(self) -> Failure:
        """Wait for the first call that fails, and return how."""
        return eventually(lambda: self.failures[:1], "a call that fails")[0]

    def no_failures(self) -> None:
        """Assert that it was answered, and that every call was."""
        assert self.answers, f"not one call was answered; failures: {self.failures[:3]}"
        assert not self.failures, f"{len(self.failures)} calls failed, the first: {self.failures[0]}"

    def lost_by_shutdown_only(self) -> None:
        """Assert that failed calls got UNAVAILABLE, at most one of them CANCELLED.

        gRPC cancels a call that its client sends before it has read the server's GOAWAY. On a busy machine that can be
        later than the server waits for.
        """
        codes = Counter(failure.code for failure in self.failures)
        assert codes.pop(grpc.StatusCode.CANCELLED, 0) <= 1, self.failures[:5]
        assert codes.keys() <= {grpc.StatusCode.UNAVAILABLE}, self.failures[:5]

    def revisions(self) -> list[str]:
        """Return the revisions that decided, each time that another one did."""
        return _changes([answer.revision for answer in self.answers])

    def datacenters(self) -> list[str]:
        """Return the datacenters that served, each time that another one did."""
        return _changes([answer.datacenter for answer in self.answers])

    def longest_gap(self) -> float:
        """Return the longest time without an answer, in seconds, between the first and the last one."""
        ends = [answer.at + answer.took for answer in self.answers]
        return max((after - before for before, after in pairwise(ends)), default=0.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                response = self._client.filter(self._request)
            except grpc.RpcError as error:
                self.failures.append(Failure(began, code_of(error), details_of(error)))
            else:
                took = time.monotonic() - began
                self.answers.append(
                    Answer(began, took, response.revision, response.generation, response.datacenter, response.stale)
                )
            self._stopping.wait(self._every)


def _changes(values: Sequence[str]) -> list[str]:
    return [value for index, value in enumerate(values) if index == 0 or value != values[index - 1]]
