"""The messages between the sidecar and its worker processes: frames of MessagePack on a socket pair, in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.failover import FailoverState, Observation, Scope
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outage
from sidecar.routing.state import State
from sidecar.server.settings import ServerSettings
from sidecar.sources.base import Gray
from sidecar.view import View
from sidecar.wording import view_text

T = TypeVar("T")

_LENGTH = 4
# More than this is no frame of ours: a document has 2 GiB at most.
_MOST = 2**31 + 2**26


class Configure(Struct, frozen=True, tag=True):
    """The settings of a worker process: its first message."""

    settings: ServerSettings
    source: str
    max_document_size: int
    log_format: str
    log_level: str


class LoadDocument(Struct, frozen=True, tag=True):
    """A text that will be in force soon; to be parsed, and kept beside the one in force until another one comes."""

    revision: str
    text: bytes


class StateInputs(Struct, frozen=True):
    """The inputs of a State; its document is named by its revision."""

    revision: str
    generation: int
    now_ns: int
    stale: bool
    unhealthy: dict[str, Outage]
    failover_states: list[tuple[Scope, str, FailoverState]]

    @classmethod
    def of(cls, state: State) -> StateInputs:
        """Return the inputs of a State."""
        failover_states = [(scope, name, known) for (scope, name), known in state.failover_states.items()]
        revision, unhealthy = state.document.revision, dict(state.unhealthy)
        return cls(revision, state.generation, state.now_ns, state.stale, unhealthy, failover_states)

    def state(self, document: RoutingDocument) -> State:
        """Return the State."""
        failover_states = {(scope, name): known for scope, name, known in self.failover_states}
        return State(
            document,
            self.generation,
            self.now_ns,
            stale=self.stale,
            unhealthy=self.unhealthy,
            failover_states=failover_states,
        )


class ActivateView(Struct, frozen=True, tag=True):
    """All of a view that calls are answered from, from now on; watchers see it after `AnnounceView`."""

    decides: StateInputs | None
    source_state: SourceState
    # The text that GetStatus returns for override, source and health checks together; it adds the gray version itself.
    error: str
    applied_at_ns: int
    confirmed_at_ns: int
    from_snapshot: bool
    gray: Gray | None
    gray_since_ns: int
    overdue: bool

    @classmethod
    def of(cls, view: View) -> ActivateView:
        """Return the part of a view that calls are answered from."""
        return cls(
            decides=StateInputs.of(view.state) if view.state else None,
            source_state=view.status.state,
            error=view_text(replace(view, status=replace(view.status, gray=None))),
            applied_at_ns=view.applied_at_ns,
            confirmed_at_ns=view.status.confirmed_at_ns,
            from_snapshot=view.status.from_snapshot,
            gray=view.status.gray,
            gray_since_ns=view.status.gray_since_ns,
            overdue=view.overdue,
        )

    def view(self, state: State | None) -> View:
        """Return the view with its State; it answers as the one that it was made of."""
        status = SourceStatus(
            state=self.source_state,
            error=self.error,
            applied_at_ns=self.applied_at_ns,
            confirmed_at_ns=self.confirmed_at_ns,
            from_snapshot=self.from_snapshot,
            gray=self.gray,
            gray_since_ns=self.gray_since_ns,
        )
        return View(state, status, overdue=self.overdue)


class AnnounceView(Struct, frozen=True, tag=True):
    """All worker processes have put the view in force: watchers may see it."""


class StartListening(Struct, frozen=True, tag=True):
    """Start to take calls."""


class SetLogLevel(Struct, frozen=True, tag=True):
    """Set the minimum log level."""

    level: str


class StopServing(Struct, frozen=True, tag=True):
    """End within so many seconds: calls under way finish."""

    grace: float


Command = Configure | LoadDocument | ActivateView | AnnounceView | StartListening | SetLogLevel | StopServing


class Ack(Struct, frozen=True, tag=True):
    """The first LoadDocument, ActivateView or StartListening that was not answered yet is carried out."""


class StartFailed(Struct, frozen=True, tag=True):
    """The settings cannot be used; the worker process ends."""

    error: str


class MethodDelta(Struct, frozen=True):
    """The counts of one method since the last report: calls started, ended by status, times of unary ones."""

    path: str
    kind: str
    started: int
    handled: list[tuple[str, int]]
    buckets: list[int]
    seconds: float


class StatsReport(Struct, frozen=True, tag=True):
    """All that was counted since the last report; it comes every second, also when empty."""

    decisions: list[tuple[tuple[str, ...], int]]
    methods: list[MethodDelta]


class ObservationReport(Struct, frozen=True, tag=True):
    """The observations of decisions, in their order."""

    observations: list[Observation]


WorkerReport = Ack | StartFailed | StatsReport | ObservationReport

_encoder = msgspec.msgpack.Encoder(enc_hook=os.fspath)


def frame(message: Command | WorkerReport) -> bytes:
    """Return the frame of a message."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH) + body


class FrameDecoder(Generic[T]):
    """Cuts the bytes of the socket into messages. Raises ValueError for bytes that are not a message."""

    def __init__(self, kind: Any) -> None:  # noqa: ANN401 - a union of types is no type to the type checker
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(
            kind, dec_hook=lambda wanted, found: wanted(found)
        )
        self._rest = bytearray()

    def feed(self, received: bytes) -> Iterator[T]:
        """Yield the messages that are complete now."""
        rest = self._rest
        rest += received
        while len(rest) >= _LENGTH:
            end = _LENGTH + int.from_bytes(rest[:_LENGTH])
            if end > _MOST:
                raise ValueError(f"found a frame of {end} bytes")
            if len(rest) < end:
                return
            body = bytes(rest[_LENGTH:end])
            del rest[:end]
            try:
                message = self._decoder.decode(body)
            except msgspec.DecodeError as error:
                raise ValueError(f"found a frame that is no message: {error}") from error
            yield message
