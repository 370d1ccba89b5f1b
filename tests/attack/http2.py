"""HTTP/2 of a hostile client: valid sequences through h2, invalid ones frame by frame."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event
from h2.exceptions import ProtocolError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FILTER = "/dcsidecar.v1.RoutingService/FilterWorkers"
WATCH = "/dcsidecar.v1.RoutingService/WatchRoutes"

# Types and flags of frames (RFC 9113, section 6).
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x6, 0x8, 0x9
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1


def headers(path: str = FILTER, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a gRPC call."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "attack"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    ]


def frame(kind: int, stream: int, payload: bytes = b"", *, flags: int = 0) -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def message(request: bytes, *, length: int | None = None) -> bytes:
    """Return an uncompressed gRPC message; `length` overrides the length in its prefix."""
    return b"\0" + struct.pack(">I", len(request) if length is None else length) + request


def block(path: str = FILTER, *more: tuple[str, str]) -> bytes:
    """Return a header block of literals without indexing, which is valid at any point of a connection."""
    encoded = bytearray()
    for name, value in headers(path, *more):
        encoded += bytes((0, len(name))) + name.encode() + bytes((len(value),)) + value.encode()
    return bytes(encoded)


class Lawful:
    """A connection that follows the protocol and sends only what it is told to."""

    def __init__(self, connection: socket.socket, *, window: int = 65_535) -> None:
        self.socket = connection
        self.socket.setblocking(False)
        self.gone = False
        self._unsent = b""
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings.initial_window_size = window
        self._h2.initiate_connection()
        self._send()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def open(self, path: str, *more: tuple[str, str], end: bool = False) -> int:
        """Begin a call; return its stream id. Raises ProtocolError when the peer allows no more streams."""
        stream: int = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, headers(path, *more), end_stream=end)
        self._send()
        return stream

    def data(self, stream: int, content: bytes, *, end: bool = False) -> int:
        """Send as much as flow control and the socket allow; return the number of bytes."""
        sent = 0
        self._send()
        if self._unsent:
            return 0
        with contextlib.suppress(ProtocolError):
            while sent < len(content):
                room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
                piece = content[sent : sent + room]
                if not piece:
                    break
                sent += len(piece)
                self._h2.send_data(stream, piece, end_stream=end and sent == len(content))
        self._send()
        return sent

    def cancel(self, stream: int) -> None:
        """Reset a stream."""
        with contextlib.suppress(ProtocolError):
            self._h2.reset_stream(stream)
        self._send()

    def read(self, wait: float = 0.0, *, acknowledge: bool = True) -> list[Event]:
        """Return received events; `acknowledge` returns the flow-control window of received data."""
        found: list[Event] = []
        while not self.gone and select.select([self.socket], [], [], wait)[0]:
            wait = 0.0
            try:
                data = self.socket.recv(1 << 18)
            except OSError:
                data = b""
            if not data:
                self.gone = True
                break
            try:
                events = self._h2.receive_data(data)
            except ProtocolError:
                self.gone = True
                break
            for event in events:
                self.gone = self.gone or isinstance(event, ConnectionTerminated)
                length = getattr(event, "flow_controlled_length", 0)
                stream = getattr(event, "stream_id", 0)
                if acknowledge and length:
                    with contextlib.suppress(ProtocolError):
                        self._h2.acknowledge_received_data(length, stream)
            found += events
        self._send()
        return found

    def _send(self) -> None:
        """Send without blocking; unsent bytes are kept for the next call."""
        self._unsent += self._h2.data_to_send()
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.gone = True
            self._unsent = b""


class Flood:
    """A connection that sends frames as fast as the peer reads them and discards the answers.

    With `hold` it never reads, and the peer's answers pile up.
    """

    def __init__(self, connection: socket.socket, *, hold: bool = False) -> None:
        self.socket = connection
        self.socket.setblocking(False)
        self.sent = 0
        self.gone = False
        self._hold = hold
        self._pending = memoryview(PREFACE + frame(SETTINGS, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def push(self, pieces: Iterator[bytes], until: float) -> None:
        """Send pieces until there are no more, until a time (monotonic), or until the peer closes the connection."""
        while not self.gone and time.monotonic() < until:
            reading, writing, _ = select.select(
                [] if self._hold else [self.socket], [self.socket], [], min(0.1, max(0.0, until - time.monotonic()))
            )
            try:
                if reading and not self.socket.recv(1 << 18):
                    self.gone = True
                if writing:
                    if not self._pending:
                        piece = next(pieces, None)
                        if piece is None:
                            return
                        self._pending = memoryview(piece)
                    written = self.socket.send(self._pending)
                    self.sent += written
                    self._pending = self._pending[written:]
            except BlockingIOError:
                continue
            except OSError:
                self.gone = True
