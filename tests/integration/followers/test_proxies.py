"""Real nginx and Caddy with the configurations of docs/followers/proxies.md, split by user."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import a_request
from tests.integration.followers.conftest import DOCUMENT, Followed
from tests.integration.followers.pages import blocks
from tests.integration.followers.traffic import Backends, Load, User, nginx_folders, shares_of
from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port
from tests.servers.redis.server import installed
from tests.waiting import eventually

PAGE = blocks("proxies.md")
SWITCHED = DOCUMENT.replace("shop: {split: {dc1: 90, dc2: 10}}", "shop: dc2")


class Proxy(ServerProcess):
    """A proxy that listens at `address`."""

    def __init__(self, folder: Path, port: int, *command: str) -> None:
        self.address = f"{LOOPBACK}:{port}"
        env = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
        super().__init__(command, ready=lambda: answers(port), log=folder / "proxy.out", env=env)


def nginx(folder: Path, followed: Followed, backends: Backends) -> Proxy:
    """Return nginx with the page's configuration."""
    port = free_port()
    text = backends.placed(PAGE["nginx.conf"]).replace("127.0.0.1:8080", followed.http)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nevents {{ worker_connections 512; }}\n"
        f"http {{\naccess_log off;\nkeepalive_requests 1000000;\n{nginx_folders(folder)}\n"
        + text.replace("listen 80;", f"listen {LOOPBACK}:{port};")
        + "}\n"
    )
    return Proxy(folder, port, installed("nginx"), "-c", str(config), "-e", str(folder / "nginx.log"))


def caddy(folder: Path, followed: Followed, backends: Backends) -> Proxy:
    """Return Caddy with the page's configuration."""
    port = free_port()
    text = backends.placed(PAGE["Caddyfile"]).replace("127.0.0.1:8080", followed.http)
    config = folder / "Caddyfile"
    site = f"http://:{port} {{\n\tbind {LOOPBACK}"
    config.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text.replace(":80 {", site))
    return Proxy(folder, port, installed("caddy"), "run", "--config", str(config), "--adapter", "caddyfile")


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Run the application in two datacenters."""
    with Backends(tmp_path_factory.mktemp("backends")) as backends:
        yield backends


@pytest.fixture(params=[nginx, caddy])
def proxy(request: pytest.FixtureRequest, tmp_path: Path, followed: Followed, backends: Backends) -> Iterator[Proxy]:
    """Run a proxy that asks the sidecar."""
    with request.param(tmp_path, followed, backends) as proxy:
        yield proxy


def test_requests_are_split_by_user(proxy: Proxy, followed: Followed) -> None:
    """Of 1,000 users each is served in the datacenter of FilterWorkers for that key, 90 to 10 within 3 points."""
    user = User(proxy.address)
    served = [user.get(f"user-{number}") for number in range(1000)]
    shares = shares_of(served)
    assert abs(shares["dc1"] - 0.9) < 0.03
    for each in served[::10]:
        assert followed.sidecar.filter(a_request("shop", each.user)).datacenter == each.datacenter
    user.close()


def test_a_switch_under_load_fails_no_request(proxy: Proxy, followed: Followed) -> None:
    """All requests are answered, and those sent once the sidecar has switched by the new datacenter."""
    with Load(proxy.address, rate=200) as load:
        eventually(lambda: len(load.served) > 100, "requests before the switch")
        followed.write(SWITCHED)
        eventually(lambda: followed.sidecar.filter(a_request("shop")).datacenter == "dc2" or None, "the switch")
        switched = time.monotonic()
        eventually(lambda: len([each for each in load.served if each.at > switched]) > 100, "requests after it")
    assert shares_of([each for each in load.served if each.at > switched]) == {"dc2": 1.0}
    shares_of(load.served)


def test_without_the_sidecar_the_default_takes_the_requests(proxy: Proxy, followed: Followed) -> None:
    """Each request is answered, by dc1, and by the right one again after a restart of the sidecar."""
    followed.write(SWITCHED)
    user = User(proxy.address)
    eventually(lambda: user.get("u1").datacenter == "dc2", "the switch")
    followed.sidecar.kill()
    assert shares_of([user.get(f"user-{number}") for number in range(50)]) == {"dc1": 1.0}
    followed.sidecar.start()
    eventually(lambda: user.get("u1").datacenter == "dc2", "the sidecar's answers")
    user.close()
