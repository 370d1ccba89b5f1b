"""The requests to Nacos over HTTP, and what its responses mean, against a server that responds as the test says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from sidecar.errors import ConfigError, SourceError, WriteConflict
from sidecar.sources.base import Author, Gray
from sidecar.sources.nacos.api import AbsentConfig, FoundConfig, NacosApi, md5
from sidecar.sources.nacos.credentials import NacosCredentials, tls_from
from sidecar.sources.nacos.gray import served_gray, stored_gray
from sidecar.sources.nacos.history import NacosHistory
from sidecar.sources.nacos.publish import publish, type_of
from sidecar.sources.nacos.url import parse
from tests.servers.process import free_port

Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Request:
    method: str
    path: str
    fields: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class Fake:
    """A server whose `reply` each test sets; it keeps what it was asked."""

    port: int
    reply: Callable[[Request], Reply] = lambda _request: (500, {}, b"")
    asked: list[Request] = field(default_factory=list)

    def api(self, options: Mapping[str, str] | None = None, query: str = "", address: str = "") -> NacosApi:
        target = parse(f"nacos://127.0.0.1:{self.port}/dispatch/routing{query}")
        return NacosApi(target, NacosCredentials(options or {}), None, address)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """Run a server that responds as the test says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            url = urlsplit(self.path)
            pairs = parse_qs(body or url.query, keep_blank_values=True)
            request = Request(
                self.command, url.path, {name: value[0] for name, value in pairs.items()}, dict(self.headers)
            )
            told.asked.append(request)
            status, headers, content = told.reply(request)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may hang up
    told = Fake(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


NO_SUCH_PATH: Reply = (404, {}, b'{"status":404,"error":"Not Found"}')


def nacos2(answer: Reply) -> Callable[[Request], Reply]:
    """Be a Nacos 2 that answers a read like this."""
    return lambda request: answer if "/v1/" in request.path else NO_SUCH_PATH


def nacos3(data: object, code: int = 0) -> Callable[[Request], Reply]:
    """Be a Nacos 3 that answers everything like this."""
    return lambda _request: (200, {}, json.dumps({"code": code, "message": "success", "data": data}).encode())


def test_nacos_2_is_asked_by_its_own_interface(fake: Fake) -> None:
    """The first version's paths and names; the generation is found out once."""
    fake.reply = nacos2((200, {"isBeta": "true"}, b"dc1"))
    api = fake.api(query="?namespace=prod", address="192.0.2.7")
    assert api.read(5) == FoundConfig(b"dc1", md5(b"dc1"), gray=True)
    api.read(5)
    assert [request.path.split("/")[2] for request in fake.asked] == ["v3", "v1", "v1"]
    assert fake.asked[1].fields == {"dataId": "routing", "group": "dispatch", "tenant": "prod"}
    assert fake.asked[1].headers["X-Real-IP"] == "192.0.2.7"


def test_nacos_3_is_asked_by_its_own_interface(fake: Fake) -> None:
    """The third version's client path and names; the data says that a version is gray."""
    fake.reply = nacos3({"content": "dc1", "md5": "ignored", "beta": True})
    assert fake.api(query="?namespace=prod").read(5) == FoundConfig(b"dc1", md5(b"dc1"), gray=True)
    assert fake.asked[-1].path == "/nacos/v3/client/cs/config"
    assert fake.asked[-1].fields == {"dataId": "routing", "groupName": "dispatch", "namespaceId": "prod"}


@pytest.mark.parametrize("reply", [nacos2((404, {}, b"config data not exist\n")), nacos3(None, code=20004)])
def test_a_missing_key_is_told_from_a_missing_page(fake: Fake, reply: Callable[[Request], Reply]) -> None:
    """Only Nacos's own words mean that the key is not there."""
    fake.reply = reply
    found = fake.api().read(5)
    assert isinstance(found, AbsentConfig)
    assert "data id routing of group dispatch in the public namespace" in found.reason


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, b"<html>Not Found</html>"),
        (503, {}, b"server is STARTING now, please try again later!"),
        (502, {}, b"Bad Gateway"),
        (200, {}, b"\xff" * (33 << 20)),
    ],
)
def test_what_is_not_nacos_own_answer_is_an_error(fake: Fake, answer: Reply) -> None:
    """A proxy's page, a server that is starting, a flood: nothing of it is a text or an absence."""
    fake.reply = nacos2(answer)
    with pytest.raises(SourceError, match=f"127.0.0.1:{fake.port} answers"):
        fake.api().read(5)


def test_a_blank_text_is_an_absence(fake: Fake) -> None:
    """Blanks are no document, so they remove no route."""
    fake.reply = nacos2((200, {}, b" \n"))
    assert isinstance(fake.api().read(5), AbsentConfig)


def test_a_key_that_is_being_modified_is_read_again(fake: Fake) -> None:
    """Nacos answers 409 for a moment while it takes a new text."""
    answers: Iterator[Reply] = iter([(409, {}, b"requested file is being modified"), (200, {}, b"dc2")])
    fake.reply = lambda request: next(answers) if "/v1/" in request.path else NO_SUCH_PATH
    assert fake.api().read(5) == FoundConfig(b"dc2", md5(b"dc2"))


def test_an_answer_that_trickles_ends_by_the_deadline() -> None:
    """Each byte comes in time, the answer does not: the whole is limited, not each read of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopping = threading.Event()

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stopping.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        api = NacosApi(parse(f"nacos://127.0.0.1:{listener.getsockname()[1]}/g/d"), NacosCredentials({}), None)
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"does not answer in time: is it frozen, or is a firewall between\?"):
            api.read(0.5)
        assert time.monotonic() - began < 1.5
        stopping.set()
        api.close()


def test_a_server_that_hangs_is_left_for_the_next(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first takes the connection and says nothing: the second is asked in time, and stays the first choice."""
    monkeypatch.setattr("sidecar.sources.nacos.api.SERVER_TIMEOUT_S", 0.3)
    fake.reply = nacos2((200, {}, b"dc1"))
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        target = parse(f"nacos://127.0.0.1:{hanging.getsockname()[1]},127.0.0.1:{fake.port}/dispatch/routing")
        api = NacosApi(target, NacosCredentials({}), None)
        assert api.read(5) == FoundConfig(b"dc1", md5(b"dc1"))
        assert api.server.port == fake.port


def test_a_connection_that_the_server_closed_is_made_again(fake: Fake) -> None:
    """A kept connection that was closed while idle costs no failure."""
    fake.reply = nacos2((200, {"Connection": "close"}, b"dc1"))
    api = fake.api()
    assert [api.read(5).version for _ in range(3)] == [md5(b"dc1")] * 3


def test_requests_are_signed_with_the_key_pair(fake: Fake) -> None:
    """HMAC-SHA1 over namespace, group and time, as the Java client signs; the secret itself is not sent."""
    fake.reply = nacos2((200, {}, b"dc1"))
    fake.api({"nacos-access-key": "ak", "nacos-secret-key": "sk"}, query="?namespace=prod").read(5)
    headers = fake.asked[-1].headers
    expected = hmac.new(b"sk", f"prod+dispatch+{headers['Timestamp']}".encode(), hashlib.sha1).digest()
    assert headers["Spas-AccessKey"] == "ak"
    assert headers["Spas-Signature"] == base64.b64encode(expected).decode()


@pytest.mark.parametrize("namespace", ["", "prod"])
def test_a_server_that_checks_signatures_takes_reads_and_writes(fake: Fake, namespace: str) -> None:
    """Every request of a key pair is signed for its own time; another secret is refused, and the remedy named."""
    held = {"content": "dc1"}

    def reply(request: Request) -> Reply:
        headers = request.headers
        if request.path.endswith("/client/cs/config") and not request.fields:
            return nacos3(None, code=10000)(request)
        resource = "+".join(filter(None, (request.fields.get("namespaceId", ""), request.fields["groupName"])))
        signed = hmac.new(b"right", f"{resource}+{headers['Timestamp']}".encode(), hashlib.sha1).digest()
        fresh = abs(time.time() * 1000 - int(headers["Timestamp"])) < 60_000
        if (
            headers["Spas-AccessKey"] != "ak"
            or headers["Spas-Signature"] != base64.b64encode(signed).decode()
            or not fresh
        ):
            return 403, {}, b'{"code":403,"message":"signature does not match"}'
        if request.method == "POST":
            held["content"] = request.fields["content"]
            return nacos3(data=True)(request)
        return nacos3(held)(request)

    fake.reply = reply
    query = f"?namespace={namespace}" if namespace else ""
    right = fake.api({"nacos-access-key": "ak", "nacos-secret-key": "right"}, query=query)
    assert publish(right, b"dc2", md5(b"dc1"), 5) == md5(b"dc2")
    assert right.read(5) == FoundConfig(b"dc2", md5(b"dc2"))
    assert fake.asked[-1].fields["namespaceId"] == (namespace or "public")
    with pytest.raises(SourceError, match="the access key may not, or its secret key is wrong"):
        fake.api({"nacos-access-key": "ak", "nacos-secret-key": "other"}, query=query).read(5)


def test_a_login_of_nacos_3_and_a_token_that_is_refused_later(fake: Fake) -> None:
    """The password goes into the body, the token into a header, and a refused token leads to one new login."""
    logins = 0

    def reply(request: Request) -> Reply:
        nonlocal logins
        if request.path.endswith("/auth/user/login"):
            logins += 1
            return 200, {}, json.dumps({"accessToken": f"token-{logins}", "tokenTtl": 18000}).encode()
        if request.headers.get("Authorization") != "Bearer token-2":
            return 403, {}, b'{"code":10000,"message":"access denied"}'
        return nacos3({"content": "dc1"})(request)

    fake.reply = reply
    assert isinstance(fake.api({"nacos-username": "u", "nacos-password": "p"}).read(5), FoundConfig)
    assert logins == 2
    assert next(request.fields for request in fake.asked if request.method == "POST") == {
        "username": "u",
        "password": "p",
    }


@pytest.mark.parametrize(
    ("status", "cause"), [(500, "as Nacos 3 does for a wrong password"), (403, "has just started refuses right ones")]
)
def test_a_failed_login_of_nacos_3_is_said_as_what_it_may_be(fake: Fake, status: int, cause: str) -> None:
    """500 is its answer to a wrong password, 403 also that to a right one after its start; another server is tried."""
    fake.reply = lambda request: (status, {}, b"{}") if "login" in request.path else nacos3({"content": "dc1"})(request)
    with pytest.raises(SourceError, match=f"'u'.*{status}.*check user and password") as raised:
        fake.api({"nacos-username": "u", "nacos-password": "p"}).read(5)
    assert cause in str(raised.value)
    target = parse(f"nacos://127.0.0.1:{fake.port},127.0.0.1:{free_port()}/dispatch/routing")
    with pytest.raises(SourceError, match=r"refuses the connection"):
        NacosApi(target, NacosCredentials({"nacos-username": "u", "nacos-password": "p"}), None).read(5)


def history(api: NacosApi) -> NacosHistory:
    """Return the history that an API asks for."""
    return NacosHistory(lambda: nullcontext(api))


def test_publishing_to_nacos_3(fake: Fake) -> None:
    """The admin interface, compare-and-set in the header, what was noted beside the key sent along."""
    held = {"content": "dc1", "desc": "where jobs run", "appName": "scheduler", "configTags": None}

    def reply(request: Request) -> Reply:
        if request.method == "POST":
            held["content"] = request.fields["content"]
            return nacos3(data=True)(request)
        return nacos3(held)(request)

    fake.reply = reply
    assert publish(fake.api(), b"a: 1", md5(b"dc1"), 5) == md5(b"a: 1")
    sent = next(request for request in fake.asked if request.method == "POST")
    assert sent.path == "/nacos/v3/admin/cs/config"
    assert sent.headers["casMd5"] == md5(b"dc1")
    assert {name: sent.fields[name] for name in ("groupName", "desc", "appName", "type")} == {
        "groupName": "dispatch",
        "desc": "where jobs run",
        "appName": "scheduler",
        "type": "yaml",
    }


def test_publishing_goes_to_a_server_that_answers(fake: Fake) -> None:
    """With the first of two servers down, the second one takes the text and has the history."""
    held = {"content": "dc1"}

    def reply(request: Request) -> Reply:
        if request.method == "POST":
            held["content"] = request.fields["content"]
            return nacos3(data=True)(request)
        return nacos3({**held, "pageItems": []})(request)

    fake.reply = reply
    target = parse(f"nacos://127.0.0.1:{free_port()},127.0.0.1:{fake.port}/dispatch/routing")
    assert publish(NacosApi(target, NacosCredentials({}), None), b"dc2", md5(b"dc1"), 5) == md5(b"dc2")
    assert history(NacosApi(target, NacosCredentials({}), None)).entries(5, 5) == ()


def test_a_write_without_an_answer_may_have_happened(fake: Fake) -> None:
    """The error says so: a blind retry could undo what somebody else wrote meanwhile."""

    def reply(request: Request) -> Reply:
        if request.method == "POST":
            time.sleep(1)
        return nacos3({"content": "dc1"})(request)

    fake.reply = reply
    with pytest.raises(SourceError, match="not known whether the text was written"):
        publish(fake.api(), b"dc2", md5(b"dc1"), 0.5)


def test_a_conflict_of_nacos_3(fake: Fake) -> None:
    """A write of somebody else between our check and ours is a conflict."""

    def reply(request: Request) -> Reply:
        if request.method == "POST":
            return 500, {}, b'{"code":20005,"message":"Cas publish fail, server md5 may have changed."}'
        return nacos3({"content": "dc1"})(request)

    fake.reply = reply
    with pytest.raises(WriteConflict):
        publish(fake.api(), b"dc2", md5(b"dc1"), 5)


def test_the_history_of_nacos_3(fake: Fake) -> None:
    """Times in milliseconds, its own paths; a row holds what its change replaced."""
    rows = {
        "3": {"id": 3, "opType": "I", "publishType": "gray", "modifyTime": 1700000002000},
        "2": {
            "id": 2,
            "opType": "U",
            "publishType": "formal",
            "srcUser": "lin",
            "srcIp": "192.0.2.1",
            "modifyTime": 1700000001500,
        },
        "1": {"id": 1, "opType": "I", "srcUser": "wei", "srcIp": "192.0.2.2", "modifyTime": 1700000000000},
    }
    texts = {"2": "dc1", "1": "dc1"}

    def reply(request: Request) -> Reply:
        if request.path.endswith("/history/list"):
            return nacos3({"pageItems": list(rows.values())})(request)
        if request.path.endswith("/history"):
            return nacos3({**rows[request.fields["nid"]], "content": texts[request.fields["nid"]]})(request)
        return nacos3({"content": "dc2"})(request)

    fake.reply = reply
    entries = history(fake.api()).entries(10, 5)
    assert [(entry.author.user, entry.text) for entry in entries] == [("lin", b"dc2"), ("wei", b"dc1")]
    assert entries[0].at_ns == 1_700_000_001_500 * 10**6
    assert history(fake.api()).author(md5(b"dc1"), 5) == Author("wei", "192.0.2.2")
    assert history(fake.api()).author(md5(b"dc3"), 5) is None


def test_the_newest_author_costs_three_requests(fake: Fake) -> None:
    """The list, the stored text, the interface's generation: no detail, as the newest text is the stored one."""

    def reply(request: Request) -> Reply:
        if request.path.endswith("/history/list"):
            rows = [{"id": 2, "opType": "U", "srcUser": "lin"}, {"id": 1, "opType": "I"}]
            return nacos3({"pageItems": rows})(request)
        return nacos3({"content": "dc2"})(request)

    fake.reply = reply
    assert history(fake.api()).author(md5(b"dc2"), 5) == Author("lin")
    assert len(fake.asked) == 3


@pytest.mark.parametrize(
    ("content", "kind"),
    [("dc1", "text"), (" dc1\n", "text"), ("a: 1", "yaml"), ("{a: 1}", "yaml"), ('{"a": 1}', "json"), ("7", "text")],
)
def test_the_type_is_that_of_the_text(content: str, kind: str) -> None:
    """JSON where it is JSON, text for a bare word, YAML for the rest."""
    assert type_of(content) == kind


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"nacos-username": "u"}, "without its password"),
        ({"nacos-password": "p"}, "without its username"),
        ({"nacos-access-key": "a"}, "without its secret-key"),
        (
            {"nacos-username": "u", "nacos-password": "p", "nacos-access-key": "a", "nacos-secret-key": "s"},
            "one of the two",
        ),
    ],
)
def test_half_a_pair_or_two_pairs_of_credentials_are_refused(options: dict[str, str], complaint: str) -> None:
    """The error says what is missing, or too much."""
    with pytest.raises(ConfigError, match=complaint):
        NacosCredentials(options)


def test_tls_files_that_cannot_be_used_are_named() -> None:
    """At the start, not at the first connection."""
    with pytest.raises(ConfigError, match="/no/such/ca"):
        tls_from({"nacos-ca": "/no/such/ca"})
    assert tls_from({}) is None
    assert tls_from({"nacos-tls": "true"}) is not None


_NOT_GRAY_3 = json.dumps({"code": 20004, "message": "resource not found", "data": "Config is not in beta."}).encode()


@pytest.mark.parametrize(
    ("reply", "gray"),
    [
        (nacos2((200, {}, b'{"code":200,"data":{"betaIps":"192.0.2.7, 192.0.2.8"}}')), ("192.0.2.7", "192.0.2.8")),
        (nacos2((200, {}, b'{"code":200,"message":"query beta ok","data":null}')), None),
        (nacos3({"grayName": "beta", "grayRule": '{"type":"beta","expr":"192.0.2.7"}'}), ("192.0.2.7",)),
        (nacos3({"grayName": "beta", "grayRule": "of another kind"}), ()),
        (lambda _: (404, {}, _NOT_GRAY_3), None),
    ],
)
def test_a_gray_version_and_its_addresses_are_read(
    fake: Fake, reply: Callable[[Request], Reply], gray: tuple[str, ...] | None
) -> None:
    """From either interface; that there is none is no error."""
    fake.reply = reply
    assert stored_gray(fake.api(), 5) == (None if gray is None else Gray("beta", gray))


def test_who_gets_a_gray_version_may_be_unreadable(fake: Fake) -> None:
    """A client that may not read the administrator's interface still knows that it is served a gray version."""
    fake.reply = lambda request: (403, {}, b"") if "admin" in request.path else nacos3({})(request)
    assert served_gray(fake.api(), 5) == Gray("beta")
    with pytest.raises(SourceError, match="refuses GET"):
        stored_gray(fake.api(), 5)
