"""Executes a reaction once: posts to a webhook, or runs a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sidecar.audit.anchor import Anchor
from sidecar.audit.event import AuditEvent
from sidecar.audit.record import Record
from sidecar.errors import ConfigError, RequestFailed, SecretUnreadable, TaskFailed
from sidecar.gil import encode_json
from sidecar.http_client import request
from sidecar.reactions.messages import WebhookRequest, message_text, payload, webhook_request
from sidecar.reactions.settings import Reaction, check_url
from sidecar.secret_file import read_secret

_ANSWER_BYTES = 64 * 1024
_SHOWN = 200
# What programs need to run at all. Others may hold secrets of the sidecar, or of what else runs with its environment.
_VARIABLES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"})
# Statuses of 400 to 499 after which another attempt may succeed.
_RETRIED = frozenset({408, 425, 429})


def perform(
    reaction: Reaction,
    record: Record,
    events: tuple[AuditEvent, ...],
    *,
    anchor_of: Callable[[Record], Anchor | None] = lambda _: None,
) -> None:
    """Execute a reaction to the events of a change. `anchor_of` may wait for seconds. Raises TaskFailed."""
    anchor = anchor_of(record) if reaction.command or reaction.format == "json" else None
    data = payload(record, events, reaction.name, anchor)
    if reaction.command:
        _run(reaction, encode_json(data).encode("utf-8", "replace"))
        return
    url = reaction.webhook
    if reaction.webhook_file is not None:
        url = _secret(reaction.webhook_file)
        try:
            check_url(url, str(reaction.webhook_file))
        except ConfigError as error:
            raise TaskFailed(str(error)) from error
    secret = _secret(reaction.secret_file) if reaction.secret_file is not None else ""
    text = message_text(record, events)
    _send(webhook_request(reaction.format, url, secret, data, text, time.time_ns()), reaction.format, reaction.timeout)


def _secret(file: Path) -> str:
    try:
        return read_secret(file)
    except SecretUnreadable as error:
        raise TaskFailed(f"{file} {error}") from error


def _send(post: WebhookRequest, form: str, timeout: float) -> None:
    try:
        response = request(post.url, body=post.body, headers=post.headers, timeout=timeout, max_bytes=_ANSWER_BYTES)
    except RequestFailed as error:
        raise TaskFailed(str(error)[:_SHOWN]) from None
    if not response.ok:
        final = 300 <= response.status < 500 and response.status not in _RETRIED
        raise TaskFailed(f"status {response.status} {response.reason}"[:_SHOWN], final=final)
    if form in {"dingtalk", "wecom", "feishu"}:
        _check_answer(response.body)


def _check_answer(said: bytes) -> None:
    """Raise TaskFailed if a chat service reports an error in a response of status 200."""
    try:
        answer = json.loads(said)
        code = next((answer[key] for key in ("errcode", "code", "StatusCode") if key in answer), 0)
    except (ValueError, TypeError) as error:
        raise TaskFailed("the response is not that of the service") from error
    if code != 0:
        message = answer.get("errmsg") or answer.get("msg") or ""
        raise TaskFailed(f"code {code} {message}"[:_SHOWN])


def _run(reaction: Reaction, data: bytes) -> None:
    """Run a command with the change on its standard input, and few of the sidecar's variables in its environment.

    Its standard error is the sidecar's.
    """
    command, timeout = reaction.command, reaction.timeout
    allowed = _VARIABLES | set(reaction.environment)
    environment = {name: value for name, value in os.environ.items() if name in allowed or name.startswith("LC_")}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise TaskFailed(
            f"{command[0]} cannot be run: {getattr(error, 'strerror', None) or error}", final=True
        ) from error
    try:
        process.communicate(data, timeout)
    except subprocess.TimeoutExpired:
        raise TaskFailed(f"it took longer than {timeout:g} s") from None
    finally:
        # Its child processes end with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        raise TaskFailed(f"it exited with {process.returncode}; its standard error is in this log")
