"""HTTP traffic of a test: two datacenters that answer with their names, and users who send requests through a proxy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port
from tests.servers.redis.server import installed

_BACKENDS = """\
daemon off;
worker_processes 1;
pid {folder}/backends.pid;
error_log {folder}/backends.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    {temporary}
    server {{ listen {dc1}; location / {{ return 200 dc1; }} }}
    server {{ listen {dc2}; location / {{ return 200 dc2; }} }}
}}
"""
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_folders(folder: Path) -> str:
    """Return the lines by which nginx has its temporary files in a folder."""
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in _KINDS)


class Backends(ServerProcess):
    """The application in two datacenters: nginx on two ports, which answers dc1 on one and dc2 on the other."""

    def __init__(self, folder: Path) -> None:
        self.dc1, self.dc2 = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
        config = folder / "backends.conf"
        config.write_text(
            _BACKENDS.format(folder=folder, dc1=self.dc1, dc2=self.dc2, temporary=nginx_folders(folder)),
            encoding="utf-8",
        )
        port = int(self.dc2.rpartition(":")[2])
        super().__init__(
            [installed("nginx"), "-c", str(config), "-e", str(folder / "backends.log")],
            ready=lambda: answers(port),
            log=folder / "backends.out",
        )

    def placed(self, text: str) -> str:
        """Return a configuration of a page with the addresses of these backends."""
        return text.replace("10.1.0.20:8000", self.dc1).replace("10.2.0.20:8000", self.dc2)


@dataclass(frozen=True, slots=True)
class Served:
    """One request: when it was sent (monotonic seconds), by which user, and the datacenter that answered, "" for none.

    `error` says what came instead.
    """

    at: float
    user: str
    datacenter: str
    error: str = ""


class User:
    """Sends requests on one connection, as one user after another, who stands in a cookie and in a header."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, user: str) -> Served:
        """Send one request; open a new connection where the proxy has closed the one before in good order."""
        began = time.monotonic()
        request = f"GET / HTTP/1.1\r\nHost: shop\r\nCookie: user={user}\r\nX-User: {user}\r\n\r\n".encode()
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, timeout=10)
            self._connection.sendall(request)
            head, body = self._answer(self._connection)
        except OSError as error:
            self.close()
            return Served(began, user, "", repr(error))
        if b"connection: close" in head.lower():
            self.close()
        status = head.split(b" ", 2)[1]
        if status != b"200":
            return Served(began, user, "", f"{status.decode()} {body[:200]!r}")
        return Served(began, user, body.decode())

    def _answer(self, connection: socket.socket) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += self._more(connection)
        return head, body

    @staticmethod
    def _more(connection: socket.socket) -> bytes:
        more = connection.recv(65536)
        if not more:
            raise ConnectionResetError("closed in the middle")
        return more


def shares_of(served: Sequence[Served]) -> dict[str, float]:
    """Return the part of the requests that each datacenter answered; fail where one has failed."""
    assert [each for each in served if each.error] == []
    names = sorted({each.datacenter for each in served})
    return {name: sum(each.datacenter == name for each in served) / len(served) for name in names}


class Load:
    """Users who send `rate` requests a second together, from entering to leaving; `served` has them all."""

    def __init__(self, address: str, *, rate: float, connections: int = 4) -> None:
        self.served: list[Served] = []
        self._every = connections / rate
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(address, number), daemon=True) for number in range(connections)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, address: str, number: int) -> None:
        client = User(address)
        due = time.monotonic()
        count = 0
        while not self._stopping.is_set():
            count += 1
            self.served.append(client.get(f"u{number}-{count % 500}"))
            due += self._every
            self._stopping.wait(max(0.0, due - time.monotonic()))
        client.close()
