"""Who gets past the guard."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from sidecar.config.hosts import read_pattern
from sidecar.errors import ConfigError
from sidecar.web.auth import AuthMiddleware, read_token
from sidecar.web.settings import WebSettings

PART = 64 * 1024


async def _hello(_: Request) -> Response:
    return PlainTextResponse("hello")


@dataclass
class Answer:
    status_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""


class Client:
    """Asks an ASGI application."""

    def __init__(self, guard: AuthMiddleware, host: str) -> None:
        self._guard = guard
        self._host = host

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        answer = Answer()

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status_code = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.text += message["body"].decode()

        sent = {"host": self._host, **(headers or {})}
        raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": raw}
        asyncio.run(self._guard(scope, receive, send))
        return answer


def a_client(*, token_file: Path | None = None, hosts: Sequence[str] = (), host: str = "127.0.0.1:8080") -> Client:
    """Return a client of an application behind the guard."""
    app = Starlette(routes=[Route(path, _hello) for path in ("/", "/healthz", "/readyz", "/metrics")])
    patterns = [pattern for text in hosts if (pattern := read_pattern(text))]
    return Client(AuthMiddleware(app, token_file=token_file, hosts=patterns), host)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Return a file with a token."""
    path = tmp_path / "token"
    path.write_text("s3cret-token\n")
    return path


@pytest.mark.parametrize(
    "shown", ["Bearer s3cret-token", "bearer  s3cret-token", "Basic " + b64encode(b"any:s3cret-token").decode()]
)
def test_the_token_opens(token_file: Path, shown: str) -> None:
    """A bearer token, or the password of any user, lets through."""
    assert a_client(token_file=token_file).get("/metrics", headers={"Authorization": shown}).text == "hello"


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer s3cret-tokem",
        "Bearer Ã©",
        "s3cret-token",
        "Basic s3cret-token",
        "Basic !!!",
        "Basic " + b64encode(b"s3cret-token").decode(),
        "Digest s3cret-token",
    ],
)
def test_nothing_else_opens(token_file: Path, shown: str) -> None:
    """Without the token there is a 401 that makes browsers ask for it, and no word of what it is."""
    answer = a_client(token_file=token_file).get("/", headers={"Authorization": shown})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "s3cret" not in answer.text


def test_health_needs_no_token(token_file: Path) -> None:
    """Orchestrators have no token; they get health, and nothing else."""
    client = a_client(token_file=token_file)
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics", "/")] == [200, 200, 401, 401]


def test_a_new_token_counts_at_once(token_file: Path) -> None:
    """After the file has changed the new token opens, the old one does not; without a file nobody comes in."""
    client = a_client(token_file=token_file)
    old, new = ({"Authorization": f"Bearer {token}"} for token in ("s3cret-token", "another"))
    token_file.write_text("another")
    assert client.get("/", headers=new).status_code == 200
    assert client.get("/", headers=old).status_code == 401
    token_file.unlink()
    assert client.get("/", headers=new).status_code == 503


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("sidecar.example:8080", 200),
        ("Sidecar.Example.", 200),
        ("dc.ops.svc", 200),
        ("ops.svc.evil.example", 421),
    ],
)
def test_foreign_names_are_refused(host: str, status: int) -> None:
    """A page of the internet whose name points to this machine reads nothing."""
    assert a_client(host=host, hosts=["sidecar.example", "*.svc", "10.0.0.0/8"]).get("/").status_code == status


def test_names_are_free_behind_a_token(token_file: Path) -> None:
    """Behind a token, or where the operator allows any, a service is called by any name."""
    assert a_client(host="sidecar.ops.svc:8080", hosts=["*"]).get("/").status_code == 200
    shown = {"Authorization": "Bearer s3cret-token"}
    assert a_client(host="sidecar.ops.svc", token_file=token_file).get("/", headers=shown).status_code == 200


def test_every_answer_is_guarded(token_file: Path) -> None:
    """Refusals too carry the policy that lets a page load nothing but from here."""
    for path in ("/", "/healthz", "/nowhere"):
        policy = a_client(token_file=token_file).get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(("content", "says"), [("", "is empty"), (None, "cannot be read"), ("ключ", "ASCII")])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    """The start fails with the path and what is wrong."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_token(path)


@pytest.mark.parametrize(
    ("http", "loopback"),
    [
        ("127.0.0.1:0", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        ("0.0.0.0:80", False),
        ("10.1.2.3:80", False),
        ("host.example:80", False),
    ],
)
def test_a_network_needs_tls_and_a_token_or_a_word(http: str, loopback: bool) -> None:
    """Plain text and answers without a token go no further than loopback unless each is allowed."""
    assert WebSettings(http=http).loopback is loopback
    WebSettings(http=http, allow_plaintext=True, allow_anonymous_http=True).check()
    WebSettings(http=http, allow_plaintext=True, http_token_file=Path("token")).check()
    if loopback:
        WebSettings(http=http).check()
    else:
        with pytest.raises(ConfigError, match="--allow-plaintext"):
            WebSettings(http=http, allow_anonymous_http=True).check()
        with pytest.raises(ConfigError, match=r"--http-token-file.*--allow-anonymous-http"):
            WebSettings(http=http, allow_plaintext=True).check()


def test_a_unix_socket_is_refused() -> None:
    """It is said what is expected instead."""
    with pytest.raises(ConfigError, match="expected host:port"):
        _ = WebSettings(http="unix:/run/s").place


@pytest.mark.parametrize(("size", "sizes"), [(5, [5]), (PART, [PART]), (2 * PART + 1, [PART, PART, 1])])
def test_a_long_body_is_sent_in_parts(size: int, sizes: list[int]) -> None:
    """So a client that does not read holds one part in memory, not the whole."""
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def long(_: Request) -> Response:
        return Response(body)

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    guard = AuthMiddleware(Starlette(routes=[Route("/", long)]), token_file=None)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(guard(scope, receive, send))
    parts = sent[1:]
    assert [len(part["body"]) for part in parts] == sizes
    assert b"".join(part["body"] for part in parts) == body
    assert [bool(part.get("more_body")) for part in parts] == [True] * (len(sizes) - 1) + [False]
