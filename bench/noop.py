"""A no-op gRPC server that answers every request with the same response."""

from __future__ import annotations

import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from sidecar.server.reading import choose_reading

# As the sidecar on loopback, before gRPC is imported.
choose_reading("direct", ())

import grpc  # noqa: E402

from sidecar.server.server import channel_options  # noqa: E402
from sidecar.server.settings import ServerSettings  # noqa: E402


def read_frames(path: Path) -> list[bytes]:
    """Return the frames of a file, each with a length prefix of 4 bytes."""
    data, frames, at = path.read_bytes(), [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        frames.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return frames


def main(port: str, responses: str) -> None:
    """Serve on a port of loopback until killed."""
    (response,) = read_frames(Path(responses))[:1]
    settings = ServerSettings()

    def unary(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return response

    def stream(requests: object, _context: grpc.ServicerContext) -> object:
        for _request in requests:  # type: ignore[attr-defined]
            yield response

    handlers = {
        "FilterWorkers": grpc.unary_unary_rpc_method_handler(unary),
        "FilterWorkersStream": grpc.stream_stream_rpc_method_handler(stream),
    }
    pool = ThreadPoolExecutor(max_workers=4)
    server = grpc.server(pool, options=channel_options(settings))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("dcsidecar.v1.RoutingService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
