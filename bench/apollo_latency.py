"""Measures the time from a release in Apollo to the first decision by it, compared with a bare long poll.

    python -m bench.apollo_latency [--rounds 30] [--bursts 5] [--kills 10] [--scan 1000]

Starts Apollo's test server, which scans for releases as often as a real one by default, and a real sidecar with a
caller that never pauses. Each round releases the same text to the namespace of a bare client and to the sidecar's. The
bare client polls, reads and does nothing else. Exits with 1 if the sidecar's median is more than 1.2 times the bare
client's, if the last of a burst of 200 releases is not in force within 3 s, if a change after kill -9 and restart of
the server is not in force within 10 s, or if a decision fails.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

from bench.latency import Sightings, bursts, compare, decided, kills
from tests.harness import Caller, SidecarProcess
from tests.servers.apollo.server import APP, ApolloServer, source_url

_BURST = 200
BARE, OURS = "bare.yaml", "ours.yaml"


class Operator(Protocol):
    """What the measurements need of an Apollo: releases of a text."""

    port: int

    def release(self, namespace: str, text: str) -> int: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--bursts", type=int, default=5)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--scan", type=int, default=1000, help="milliseconds between the server's scans")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ApolloServer(Path(folder) / "a", scan_ms=options.scan) as server:
        for namespace in (BARE, OURS):
            server.operator.release(namespace, "dc1")
        with (
            SidecarProcess(source_url(server, namespace=OURS), folder=Path(folder), within=60) as sidecar,
            Caller(sidecar.address, every=0.0005) as caller,
        ):
            good = latency(server.operator, caller, options.rounds)
            release = partial(server.operator.release, OURS)
            good &= bursts(caller, partial(release_all, server), count=options.bursts, size=_BURST, settled_s=1.5)
            print(f"resident   {sidecar.rss / 2**20:.1f} MiB")
            noticed: list[float] = []
            good &= kills(
                caller,
                kill=lambda: kill(server, caller, noticed),
                start=server.start,
                publish=release,
                count=options.kills,
            )
            print(f"           noticed after at most {max(noticed, default=0):.2f} s")
            print(f"resident   {sidecar.rss / 2**20:.1f} MiB")
        print(f"decisions  {len(caller.answers)}, failed {len(caller.failures)}")
        return 0 if good and not caller.failures else 1


def latency(operator: Operator, caller: Caller, rounds: int) -> bool:
    took: dict[str, list[float]] = {"long poll": [], "sidecar": []}
    with bare_client(operator.port) as bare:
        bare.wait("dc1")
        for number in range(rounds):
            text = f"dc{number % 2 + 2}"
            released: dict[str, float] = {}
            since = len(caller.answers)
            # In random order, one right after the other: both fall between the same two scans, nearly always.
            for namespace in random.sample((BARE, OURS), 2):
                operator.release(namespace, text)
                released[namespace] = time.monotonic()
            took["sidecar"].append(1000 * (decided(caller, text, since) - released[OURS]))
            took["long poll"].append(1000 * (bare.wait(text) - released[BARE]))
            time.sleep(random.uniform(0.1, 1.1))
    return compare(took)


def release_all(server: ApolloServer, texts: list[str]) -> None:
    for text in texts:
        server.operator.release(OURS, text)


def kill(server: ApolloServer, caller: Caller, noticed: list[float]) -> None:
    since = len(caller.answers)
    killed = time.monotonic()
    server.kill()
    caller.until(lambda answer: answer.stale, "stale answers", within=30)
    noticed.append(next(answer.at for answer in caller.answers[since:] if answer.stale) - killed)


class _Bare(Sightings):
    """A client that polls and reads in a loop, and notes when it had which text."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.stopping = False

    def run_until_gone(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._run()

    def _run(self) -> None:
        poll, read = (http.client.HTTPConnection("127.0.0.1", self._port, timeout=95) for _ in range(2))
        number = -1
        while not self.stopping:
            asked = json.dumps([{"namespaceName": BARE, "notificationId": number}])
            status, body = _get(poll, "/notifications/v2?", appId=APP, cluster="default", notifications=asked)
            if status != 200:
                continue
            number = json.loads(body)[0]["notificationId"]
            text = json.loads(_get(read, f"/configs/{APP}/default/{BARE}")[1])["configurations"]["content"]
            self.note(text)


def _get(connection: http.client.HTTPConnection, path: str, **query: str) -> tuple[int, bytes]:
    connection.request("GET", path + urlencode(query))
    response = connection.getresponse()
    return response.status, response.read()


@contextmanager
def bare_client(port: int) -> Iterator[_Bare]:
    bare = _Bare(port)
    threading.Thread(target=bare.run_until_gone, daemon=True).start()
    try:
        yield bare
    finally:
        bare.stopping = True


if __name__ == "__main__":
    sys.exit(main())
