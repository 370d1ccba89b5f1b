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
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from bench.latency import Sightings, bursts, compare, decided, kills
from tests.harness import Caller, SidecarProcess
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.nacos3.server import Nacos3Server

_BURST = 500


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
            burst = partial(publish_all, server)
            good &= bursts(caller, burst, count=options.bursts, size=_BURST, settled_s=0.5)
            print(f"resident   {sidecar.rss / 2**20:.1f} MiB")
            publish = partial(server.operator.publish, "ours")
            good &= kills(caller, kill=server.kill, start=server.start, publish=publish, count=options.kills)
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
    return compare(took)


def publish_all(server: NacosServer, texts: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for text in texts:
        post(connection, "ours", text)
    connection.close()


def post(connection: http.client.HTTPConnection, key: str, text: str) -> None:
    body = urlencode({"dataId": key, "group": "dispatch", "content": text})
    connection.request("POST", "/nacos/v1/cs/configs", body, {"Content-Type": "application/x-www-form-urlencoded"})
    connection.getresponse().read()


@contextmanager
def bare_listener(server: NacosServer, folder: Path) -> Iterator[Sightings]:
    from v2.nacos import ClientConfig, NacosConfigService  # noqa: PLC0415 - only here

    seen = Sightings()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def note(_namespace: str, _group: str, _data_id: str, content: str) -> None:
        seen.note(content)

    async def listen() -> None:
        config = ClientConfig(server_addresses=server.address, log_dir=str(folder / "log"))
        config.set_cache_dir(str(folder / "cache"))
        service = await NacosConfigService.create_config_service(config)
        await service.add_listener("bare", "dispatch", note)

    asyncio.run_coroutine_threadsafe(listen(), loop).result(60)
    try:
        yield seen
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


if __name__ == "__main__":
    sys.exit(main())
