"""Outbound HTTP: one request, and what came of it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest

from sidecar.errors import RequestFailed
from sidecar.http_client import is_http_url, request
from tests.unit.reactions.receiver import Receiver
from tests.waiting import eventually


def test_a_post_and_its_response() -> None:
    """Body and headers arrive; status, reason, headers and body come back, case-insensitively for headers."""
    with Receiver(lambda _: (201, b"made")) as receiver:
        response = request(receiver.url, body=b"text", headers={"X-Token": "t"}, timeout=5, max_bytes=100)
    assert (receiver.bodies, receiver.headers[0]["X-Token"]) == ([b"text"], "t")
    assert (response.status, response.reason, response.body, response.ok) == (201, "Created", b"made", True)
    assert response.headers.get("content-length") == "4"


@pytest.mark.parametrize("status", [400, 404, 503])
def test_any_status_is_a_response(status: int) -> None:
    """What the server says with an error's status is returned, and is not `ok`."""
    with Receiver(lambda _: (status, b"why")) as receiver:
        response = request(receiver.url, body=b"", timeout=5, max_bytes=100)
    assert (response.status, response.body, response.ok) == (status, b"why", False)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_no_redirect_is_followed(status: int) -> None:
    """A redirect is the response; where it points to is not asked."""
    with Receiver() as elsewhere, Receiver(lambda _: (status, elsewhere.url.encode())) as receiver:
        response = request(receiver.url, body=b"secret", timeout=5, max_bytes=100)
        assert (response.status, response.ok, elsewhere.bodies) == (status, False, [])


def test_a_body_is_bounded() -> None:
    """Of a response that is too long the beginning is read."""
    with Receiver(lambda _: (200, b"x" * 1000)) as receiver:
        assert request(receiver.url, body=b"", timeout=5, max_bytes=10).body == b"x" * 10


def test_failures_have_a_reason_and_no_url() -> None:
    """Nobody listening, a server that hangs, one that does not speak HTTP, a URL that is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(RequestFailed, match=r"^timed out$"):
            request(f"http://127.0.0.1:{port}/secret", timeout=0.1, max_bytes=10)

        def babble() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.sendall(b"SSH-2.0-server\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        with pytest.raises(RequestFailed, match=r"^(BadStatusLine|Connection reset by peer)$"):
            request(f"http://127.0.0.1:{port}/secret", timeout=5, max_bytes=10)
        thread.join()
    with pytest.raises(RequestFailed, match=r"^Connection refused$"):
        request(f"http://127.0.0.1:{port}/secret", timeout=5, max_bytes=10)
    with pytest.raises(RequestFailed, match=r"^(InvalidURL|ValueError)$"):
        request("http://127.0.0.1/a secret", timeout=5, max_bytes=10)


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b""])
def test_all_of_a_response_is_bounded(begin: bytes) -> None:
    """A server that sends a byte now and then, in the headers or in the body, is left when the time is up."""
    left = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(begin)
            while not pause.wait(0.02):
                connection.sendall(b"X")
        left.set()

    pause = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        began = time.monotonic()
        with pytest.raises(RequestFailed, match=r"^timed out$"):
            request(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3, max_bytes=1000)
        assert time.monotonic() - began < 5
        assert left.wait(5), "the connection is still open"
    eventually(lambda: not [one for one in threading.enumerate() if one.name == "http-request"], "no thread is left")


@pytest.mark.parametrize("url", ["http://h", "https://h:443/path?a=b", "http://[::1]:7700", "http://user:word@h/x"])
def test_what_is_a_url(url: str) -> None:
    """A scheme of HTTP and a host are enough."""
    assert is_http_url(url)


@pytest.mark.parametrize(
    "url", ["", "h", "ftp://h", "http://", "http://h:x", "http://h:99999", "http://h/a b", "http://h/\n"]
)
def test_what_is_no_url(url: str) -> None:
    """Other schemes, no host, no such port, blanks and control characters."""
    assert not is_http_url(url)
