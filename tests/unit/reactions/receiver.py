"""A webhook's receiver that answers, hangs or breaks as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Answer = Callable[[int], tuple[int, bytes]]


class Receiver:
    """Listens on loopback from entering to leaving; keeps the bodies and headers of what it is sent.

    `answer` is called with the number of the request, from 0, and returns a status and a body; it may take its time.
    """

    def __init__(self, answer: Answer = lambda _: (200, b"{}")) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[Message] = []
        self._answer = answer
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(self.headers)
                status, body = receiver._answer(len(receiver.bodies) - 1)
                self.send_response(status)
                if status in {301, 302, 307}:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing of senders that do not wait any more."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
