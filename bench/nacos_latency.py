"""Measures the time from a publish in Nacos to the first decision by it, compared with a listener of nacos-sdk-python.

    python -m bench.nacos_latency [--rounds 50] [--bursts 20] [--kills 30] [--nacos 2|3]

Starts a real server and a real sidecar with a caller that never pauses, and publishes in turn to the key of the bare
listener and to the sidecar's. Exits with 1 if the sidecar's median is more than 1.2 times the bare listener's, if the
last of a burst of 500 publishes is not in force within 3 s, if a change after kill -9 and restart of the server is not
in force within 10 s, or if a decision fails.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

from tests.harness import Caller, SidecarProcess
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.nacos3.server import Nacos3Server

_ALLOWED = 1.2
_BURST = 500
_BURST_WITHIN = 3.0
_KILL_WITHIN = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--bursts", type=int, default=20)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--nacos", choices=("2", "3"), default="3", help="the server's version")
    options = parser.parse_args()
    kind = Nacos3Server if options.nacos == "3" else NacosServer
    with tempfile.TemporaryDirectory() as folder, kind(Path(folder) / "nacos") as server:
        for key in ("bare", "ours"):
            server.operator.publish(key, "dc1")
        with (
            SidecarProcess(source_url([server], "ours"), folder=Path(folder), within=60) as sidecar,
            Caller(sidecar.address, every=0.0005) as caller,
        ):
            good = latency(server, caller, options.rounds)
            good &= bursts(server, caller, options.bursts)
            print(f"resident   {sidecar.rss / 2**20:.1f} MiB")
            good &= kills(server, caller, options.kills)
            print(f"resident   {sidecar.rss / 2**20:.1f} MiB")
        print(f"decisions  {len(caller.answers)}, failed {len(caller.failures)}")
        return 0 if good and not caller.failures else 1


def latency(server: NacosServer, caller: Caller, rounds: int) -> bool:
    took: dict[str, list[float]] = {"listener": [], "sidecar": []}
    with bare_listener(server, Path(server.folder) / "sdk") as bare:
        bare.wait("dc1")
        for number in range(rounds):
            text = f"dc{number % 2 + 2}"
            began = time.monotonic()
            server.operator.publish("bare", text)
            took["listener"].append(1000 * (bare.wait(text) - began))
            time.sleep(random.uniform(0.1, 0.4))
            began, since = time.monotonic(), len(caller.answers)
            server.operator.publish("ours", text)
            took["sidecar"].append(1000 * (decided(caller, text, since) - began))
            time.sleep(random.uniform(0.1, 0.4))
    for name, values in took.items():
        cuts = quantiles(values, n=20)
        print(f"{name:10} median {median(values):6.1f} ms   p95 {cuts[-1]:6.1f} ms   of {len(values)}")
    ratio = median(took["sidecar"]) / median(took["listener"])
    print(f"ratio      {ratio:.2f} (allowed {_ALLOWED})")
    return ratio <= _ALLOWED


def bursts(server: NacosServer, caller: Caller, count: int) -> bool:
    behind = []
    for number in range(count):
        last = f"dc{number % 2 + 1}"
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for each in range(_BURST - 1):
            post(connection, "ours", f"other-{number}-{each}")
        post(connection, "ours", last)
        connection.close()
        ended = time.monotonic()
        behind.append(decided(caller, last, len(caller.answers)) - ended)
        time.sleep(0.5)
        assert caller.answers[-1].datacenter == last, "went back after the burst"
    print(f"bursts     of {_BURST}: {count}, the last in force at most {max(behind, default=0):.2f} s later")
    return max(behind, default=0) <= _BURST_WITHIN


def kills(server: NacosServer, caller: Caller, count: int) -> bool:
    behind = []
    for number in range(count):
        server.kill()
        time.sleep(random.uniform(0, 3))
        server.start()
        ready, since = time.monotonic(), len(caller.answers)
        text = f"dc{number % 2 + 2}"
        server.operator.publish("ours", text)
        behind.append(decided(caller, text, since, within=60) - ready)
        time.sleep(random.uniform(0, 3))
    slowest = ", ".join(f"{seconds:.2f}" for seconds in sorted(behind)[-3:])
    print(f"kills      {count}, in force after the server was ready: slowest {slowest} s")
    return max(behind, default=0) <= _KILL_WITHIN


def post(connection: http.client.HTTPConnection, key: str, text: str) -> None:
    body = urlencode({"dataId": key, "group": "dispatch", "content": text})
    connection.request("POST", "/nacos/v1/cs/configs", body, {"Content-Type": "application/x-www-form-urlencoded"})
    connection.getresponse().read()


def decided(caller: Caller, datacenter: str, since: int, within: float = 10.0) -> float:
    """Return when the first decision for this datacenter was answered, of those from the index `since` on."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        for answer in caller.answers[since:]:
            if answer.datacenter == datacenter:
                return answer.at + answer.took
            since += 1
        time.sleep(0.001)
    raise AssertionError(f"no decision for {datacenter} within {within:g} s")


class _Bare:
    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()

    async def listen(self, _namespace: str, _group: str, _data_id: str, content: str) -> None:
        with self._changed:
            self._seen[content] = time.monotonic()
            self._changed.notify_all()

    def wait(self, text: str) -> float:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self._seen, 30), f"the bare listener never saw {text!r}"
            return self._seen.pop(text)


@contextmanager
def bare_listener(server: NacosServer, folder: Path) -> Iterator[_Bare]:
    from v2.nacos import ClientConfig, NacosConfigService  # noqa: PLC0415 - only here

    bare = _Bare()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> None:
        config = ClientConfig(server_addresses=server.address, log_dir=str(folder / "log"))
        config.set_cache_dir(str(folder / "cache"))
        service = await NacosConfigService.create_config_service(config)
        await service.add_listener("bare", "dispatch", bare.listen)

    asyncio.run_coroutine_threadsafe(listen(), loop).result(60)
    try:
        yield bare
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


if __name__ == "__main__":
    sys.exit(main())
