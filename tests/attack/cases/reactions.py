"""Webhook receivers that are slow on purpose, and the environment of commands."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time

from tests.attack.attack import Attack, Stage
from tests.attack.texts import document
from tests.waiting import eventually

_TIMEOUT_S = 1.0


class _Receiver:
    """An HTTP server that answers at once, or (`drips`) sends a byte every 0.3 s."""

    def __init__(self, *, drips: bool) -> None:
        self._drips = drips
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received = 0
        # Seconds until the sidecar closed each connection.
        self.kept: list[float] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        began = time.monotonic()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            connection.recv(65_536)
            self.received += 1
            if not self._drips:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while time.monotonic() < began + 60:
                connection.sendall(b"X")
                time.sleep(0.3)
        if self._drips:
            self.kept.append(time.monotonic() - began)


def _drips(stage: Stage) -> None:
    slow, quick = _Receiver(drips=True), _Receiver(drips=False)
    reactions = [
        {"name": "slow", "on": ["applied"], "webhook": f"http://127.0.0.1:{slow.port}/", "timeout": f"{_TIMEOUT_S:g}s"},
        {"name": "quick", "on": ["applied"], "webhook": f"http://127.0.0.1:{quick.port}/"},
    ]
    with contextlib.closing(slow), contextlib.closing(quick):
        stage.sidecar.env["DC_SIDECAR_REACTIONS"] = json.dumps(reactions)
        stage.sidecar.start()
        for number in range(3):
            stage.put(document(rest=f"meta: {{number: {number}}}\n"))
            time.sleep(0.5)
        with contextlib.suppress(AssertionError):
            eventually(lambda: slow.kept, "an attempt that ends", within=_TIMEOUT_S + 4)
        stage.expect(slow.received, "the slow receiver got nothing")
        held = max(slow.kept, default=99.0)
        stage.expect(
            held < _TIMEOUT_S + 2, f"an attempt with a timeout of {_TIMEOUT_S:g} s was held for {held:.0f} s or more"
        )
        stage.expect(quick.received, "it kept the other receiver from getting anything")
        _, body = stage.sidecar.get("/metrics")
        failing = re.search(r"^dc_sidecar_task_failing\{[^}]*slow[^}]*\} 1\.0$", body.decode(), re.MULTILINE)
        stage.expect(failing, "the metrics do not show that the slow receiver fails")


def _environment(stage: Stage) -> None:
    seen = stage.folder / "seen"
    reactions = [
        {"name": "look", "on": ["applied"], "command": ["/bin/sh", "-c", f"env > {seen}.new; mv {seen}.new {seen}"]}
    ]
    stage.sidecar.env |= {
        "DC_SIDECAR_REACTIONS": json.dumps(reactions),
        "AWS_SECRET_ACCESS_KEY": "of-somebody-else",
        "LD_PRELOAD_OF_ATTACK": "x",
        "PGPASSWORD": "of-somebody-else",
    }
    stage.sidecar.start()
    stage.put(document(rest="meta: {by: attack}\n"))
    eventually(seen.exists, "a command that ran", within=10)
    names = sorted(line.partition("=")[0] for line in seen.read_text().splitlines())
    inherited = [name for name in names if name in ("AWS_SECRET_ACCESS_KEY", "LD_PRELOAD_OF_ATTACK", "PGPASSWORD")]
    stage.note(f"a command has {len(names)} variables")
    stage.expect(not inherited, f"commands inherit variables that are not ours: {', '.join(inherited)}")


ATTACKS = [
    Attack(
        name="webhook-drip",
        run=_drips,
        item="12",
        product="The `timeout` of a webhook limits the whole attempt; an attempt that times out counts as failed.",
        calls=False,
        starts=False,
    ),
    Attack(
        name="command-environment",
        run=_environment,
        item="12",
        product="Commands get only environment variables on an allow-list.",
        calls=False,
        starts=False,
    ),
]
