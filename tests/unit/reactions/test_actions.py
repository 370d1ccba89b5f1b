"""A reaction is executed once: a post to a webhook, or a command."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from sidecar.errors import TaskFailed
from sidecar.reactions.actions import perform
from sidecar.reactions.settings import Reaction, read_reactions
from tests.unit.reactions.receiver import Receiver
from tests.unit.reactions.test_messages import RECORD, SWITCH
from tests.waiting import eventually


def reaction(**keys: object) -> Reaction:
    """Return the reaction that a configuration says."""
    (found,) = read_reactions([{"name": "it", **keys}])
    return found


def failure(what: Reaction) -> TaskFailed:
    """Return how it fails."""
    with pytest.raises(TaskFailed) as found:
        perform(what, RECORD, (SWITCH,))
    return found.value


def test_a_post_arrives() -> None:
    """The receiver gets the body and the headers."""
    with Receiver() as receiver:
        perform(reaction(webhook=receiver.url), RECORD, (SWITCH,))
    assert json.loads(receiver.bodies[0])["events"][0]["after"] == "dc2"
    assert receiver.headers[0]["X-DC-Sidecar-Delivery"] == json.loads(receiver.bodies[0])["delivery"]


@pytest.mark.parametrize(
    ("status", "final"), [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (307, True)]
)
def test_what_the_status_says(status: int, final: bool) -> None:
    """Server errors and rate limits are retried; other client errors and redirects are final."""
    with Receiver() as elsewhere, Receiver(lambda _: (status, elsewhere.url.encode())) as receiver:
        error = failure(reaction(webhook=receiver.url))
        assert (error.final, str(status) in str(error)) == (final, True)
        assert elsewhere.bodies == []


@pytest.mark.parametrize("form", ["dingtalk", "wecom", "feishu"])
def test_a_chat_service_that_refuses_within_a_good_answer(form: str) -> None:
    """Chat services answer 200 with an error code in the body: a failure, with their message."""
    codes = {"feishu": b'{"code": 9499, "msg": "Bad Request"}'}
    answer = codes.get(form, b'{"errcode": 9499, "errmsg": "Bad Request"}')
    with Receiver(lambda _: (200, answer)) as receiver:
        assert str(failure(reaction(webhook=receiver.url, format=form))) == "code 9499 Bad Request"
    with Receiver(lambda _: (200, b"<html>")) as receiver:
        assert "not that of the service" in str(failure(reaction(webhook=receiver.url, format=form)))
    with Receiver(lambda _: (200, b'{"errcode": 0, "errmsg": "ok"}')) as receiver:
        perform(reaction(webhook=receiver.url, format=form), RECORD, (SWITCH,))


def test_nobody_there() -> None:
    """A refused connection is retried."""
    with Receiver() as receiver:
        url = receiver.url
    error = failure(reaction(webhook=url))
    assert (error.final, "refused" in str(error).lower()) == (False, True)


def test_a_receiver_that_hangs_is_left() -> None:
    """A response is waited for until the configured timeout."""
    free = threading.Event()

    def hang(_: int) -> tuple[int, bytes]:
        free.wait(10)
        return 200, b""

    with Receiver(hang) as receiver:
        began = time.monotonic()
        error = failure(reaction(webhook=receiver.url, timeout="200ms"))
        assert (error.final, time.monotonic() - began < 3) == (False, True)
        free.set()


def test_secrets_are_read_when_they_are_used(tmp_path: Path) -> None:
    """A URL and a key that change in their files are used from the next post on, and are in no message."""
    with Receiver() as receiver:
        url, key = tmp_path / "url", tmp_path / "key"
        url.write_text("http://127.0.0.1:1/token-of-the-hook")
        key.write_text("one")
        hook = reaction(**{"webhook-file": str(url), "secret-file": str(key)})
        assert "token-of-the-hook" not in str(failure(hook))
        url.write_text(receiver.url)
        perform(hook, RECORD, (SWITCH,))
        assert receiver.headers[0]["X-DC-Sidecar-Signature"].startswith("sha256=")
        key.write_text("")
        assert "is empty" in str(failure(hook))
        url.write_text("nonsense token-of-the-hook")
        assert "token-of-the-hook" not in str(failure(hook))


def test_a_command_gets_the_change_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets JSON on standard input, its arguments without a shell, and only the usual and the listed variables."""
    for name in ("DC_SIDECAR_NACOS_PASSWORD", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("PAGER_TOKEN", "for the command")
    monkeypatch.setenv("LC_TIME", "C")
    out = tmp_path / "out"
    code = (
        "import json,os,sys; json.dump([json.load(sys.stdin), dict(os.environ), sys.argv[1:]], open(sys.argv[1], 'w'))"
    )
    command = [sys.executable, "-c", code, str(out), "$(id); `x`"]
    perform(reaction(command=command, environment=["PAGER_TOKEN", "NOT_SET"]), RECORD, (SWITCH,))
    change, environment, argv = json.loads(out.read_text())
    assert change["events"][0]["kind"] == "switch"
    assert "s3cret" not in environment.values()
    assert (environment["PAGER_TOKEN"], environment["LC_TIME"]) == ("for the command", "C")
    assert environment["PATH"] == os.environ["PATH"]
    assert argv[1] == "$(id); `x`"


def test_a_command_that_fails() -> None:
    """The exit code is in the error; a missing command is final; one that does not read its input does not fail."""
    assert "exited with 3" in str(failure(reaction(command=[sys.executable, "-c", "raise SystemExit(3)"])))
    error = failure(reaction(command=["/nonexistent/command"]))
    assert (error.final, "/nonexistent/command cannot be run" in str(error)) == (True, True)
    perform(reaction(command=["true"]), RECORD, (SWITCH,))


def test_a_command_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    """After its timeout it is killed with its children."""
    pids = tmp_path / "pid"
    script = f"sleep 100 & echo $! > {pids}.new; mv {pids}.new {pids}; wait"
    assert "longer than 2 s" in str(failure(reaction(command=["sh", "-c", script], timeout="2s")))
    child = int(pids.read_text())
    gone = lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE  # noqa: E731
    eventually(gone, "the end of the child")
