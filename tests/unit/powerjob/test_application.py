"""PowerJob's OpenAPI as we call it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sidecar.errors import ConfigError, PowerJobRefused, PowerJobUnavailable
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.http import PowerJobServers
from sidecar.powerjob.model import InstanceStatus
from tests.unit.powerjob.fake import FakePowerJob

NOBODY = "http://127.0.0.1:1"


def app(fake: FakePowerJob, password: str = "", name: str = "billing") -> PowerJobApp:
    """Return the application of a fake."""
    return PowerJobApp(PowerJobServers([fake.url], timeout=10), name, password)


def test_a_name_is_enough_where_no_password_is_asked_for(fake: FakePowerJob) -> None:
    """The number is asked for as workers ask; a number given as the name is taken as it is."""
    assert app(fake).id == 7
    assert app(fake, name="12").id == 12
    assert fake.calls == ["assert"]


def test_with_a_password_it_signs_in_once() -> None:
    """Every call then carries the token and the number."""
    with FakePowerJob("s3cret") as fake:
        fake.instance(1, InstanceStatus.FAILED)
        billing = app(fake, "s3cret")
        assert [instance.id for instance in billing.instances([InstanceStatus.FAILED])] == [1]
        billing.retry(1)
        assert fake.named("authApp") == 1


def test_an_old_token_is_replaced() -> None:
    """When its time is over PowerJob says so, and the call is made again with a new one."""
    with FakePowerJob("s3cret") as fake:
        fake.instance(1, InstanceStatus.FAILED)
        billing = app(fake, "s3cret")
        assert billing.instance(1).id == 1
        fake.token = "token-2"
        assert billing.instance(1).id == 1
        assert fake.named("authApp") == 2


@pytest.mark.parametrize(("password", "why"), [("", "asks for its password"), ("wrong-one", "INCORRECT_PASSWORD")])
def test_a_missing_or_wrong_password_is_told_without_it(password: str, why: str) -> None:
    """The message says what to do, and never what was tried."""
    with FakePowerJob("s3cret") as fake, pytest.raises(PowerJobRefused, match=why) as refused:
        list(app(fake, password).instances([InstanceStatus.FAILED]))
    assert "wrong-one" not in str(refused.value)


def test_pages_do_not_lose_what_is_moved_meanwhile(fake: FakePowerJob) -> None:
    """250 runs in three pages, though each one leaves the list as soon as it is seen."""
    for number in range(1, 251):
        fake.instance(number, InstanceStatus.FAILED)
    seen = []
    for instance in app(fake).instances([InstanceStatus.FAILED], since_ms=1):
        seen.append(instance.id)
        fake.instances[instance.id]["status"] = int(InstanceStatus.SUCCEEDED)
    assert seen == list(range(1, 251))
    assert len(fake.queries) == 3


def test_another_server_answers_for_one_that_is_away(fake: FakePowerJob) -> None:
    """And it stays with the one that answers."""
    servers = PowerJobServers([NOBODY, fake.url], timeout=10)
    assert PowerJobApp(servers, "billing").id == 7
    assert PowerJobApp(servers, "billing").id == 7
    with pytest.raises(PowerJobUnavailable, match=r"127\.0\.0\.1:1 does not answer: Connection refused"):
        PowerJobServers([NOBODY], timeout=1).get("server/assert", appName="billing")


def test_workers_are_those_of_all_servers_that_are_alive(fake: FakePowerJob) -> None:
    """Each server knows those that are connected to it; a minute without a heartbeat is a dead worker."""
    fake.worker("10.1.0.1:1", "dc1")
    fake.worker("10.1.0.2:1", "dc1", lastActiveTime=1)
    with FakePowerJob() as other:
        other.worker("10.2.0.1:1", "", tag="dc2", systemMetrics=None)
        billing = PowerJobApp(PowerJobServers([fake.url, NOBODY, other.url], timeout=10), "billing")
        found = {(worker.address, worker.metrics, worker.tag) for worker in billing.workers()}
    assert found == {("10.1.0.1:1", "dc1", ""), ("10.2.0.1:1", "", "dc2")}


@pytest.mark.parametrize("url", ["ftp://h", "powerjob:7700", "http://u:s3cret@h", "http://h?token=s3cret", "http://"])
def test_a_server_is_a_plain_url(url: str) -> None:
    """A server's URL has no password, and the error does not show what was found, which may be one."""
    with pytest.raises(ConfigError, match="without user or password") as refused:
        PowerJobServers([url], timeout=1)
    assert "s3cret" not in str(refused.value)


def test_what_is_no_powerjob_is_told(fake: FakePowerJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of another form says what was expected there."""
    billing = app(fake)
    monkeypatch.setattr(fake, "answer", lambda _call, _given: 7)
    for ask in (lambda: billing.instance(1), billing.workers, lambda: list(billing.instances([InstanceStatus.FAILED]))):
        with pytest.raises(PowerJobUnavailable, match=r"in another form than PowerJob 5\.1"):
            ask()
    monkeypatch.undo()
    with pytest.raises(PowerJobRefused, match="can't find job"):
        billing.job(1)


def test_what_is_no_such_server_is_told() -> None:
    """The address, and what was expected there."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if "gone" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Keep silent."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        servers = PowerJobServers([f"http://127.0.0.1:{server.server_port}/"], timeout=10)
        with pytest.raises(PowerJobUnavailable, match="not as PowerJob does"):
            servers.get("server/assert")
        with pytest.raises(PowerJobUnavailable, match=r"status 404: expected a server of PowerJob 5\.1"):
            servers.get("gone")
        server.shutdown()
        thread.join()


def test_an_older_powerjob_is_named(fake: FakePowerJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """4.3.9 fails at the query for instances; its version is then read and named."""

    def answer(call: str, _given: object) -> object:
        match call:
            case "assert":
                return 7
            case "hello":
                return {"serverInfo": {"version": "4.3.9"}}
        raise ValueError("HttpMessageConversionException: Type definition error: PowerQuery")

    monkeypatch.setattr(fake, "answer", answer)
    with pytest.raises(PowerJobUnavailable, match=r"PowerJob 4\.3\.9 cannot .* expected PowerJob 5\.1 or later"):
        list(app(fake).instances([InstanceStatus.FAILED]))
