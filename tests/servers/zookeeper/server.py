"""Real ZooKeeper servers, one or an ensemble, as they are started for the tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kazoo.client import KazooClient

from tests.servers.maven import runtime_jars
from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port

_POM = Path(__file__).with_name("pom.xml")
_JAVA = (
    *("java", "-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    *("-Xshare:auto", "-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.4lw.commands.whitelist=*"),
)
TICK = 500


class ZooKeeperServer(ServerProcess):
    """One ZooKeeper on loopback: alone, or a member of an ensemble where it is told of all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        members: Sequence[str] = (),
        number: int = 1,
        settings: Mapping[str, str] | None = None,
        java: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        data = folder / "data"
        data.mkdir(exist_ok=True)
        (data / "myid").write_text(str(number))
        lines = {
            "tickTime": str(TICK),
            "dataDir": str(data),
            "clientPort": str(self.port),
            "clientPortAddress": LOOPBACK,
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "*",
            "maxClientCnxns": "0",
            **({"initLimit": "20", "syncLimit": "4"} if members else {}),
            **{f"server.{place}": member for place, member in enumerate(members, start=1)},
            **(settings or {}),
        }
        config = folder / "zoo.cfg"
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        main = "quorum.QuorumPeerMain" if members else "ZooKeeperServerMain"
        super().__init__(
            [
                *_JAVA,
                *java,
                *("-cp", f"{runtime_jars(_POM)}/*", f"org.apache.zookeeper.server.{main}", str(config)),
            ],
            # A member without a quorum answers `ruok`, but serves nobody: `srvr` says so.
            ready=lambda: answers(self.port, b"srvr", b"Mode:"),
            log=folder / "server.log",
        )

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def ask(self, command: str) -> str:
        """Return what it says to one of its four-letter commands."""
        with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
            connection.sendall(command.encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@contextmanager
def zookeeper_ensemble(folder: Path, size: int = 3) -> Iterator[list[ZooKeeperServer]]:
    """Run an ensemble; when entered, every member serves."""
    members = []
    for _ in range(size):
        base = free_port(1)
        members.append(f"{LOOPBACK}:{base}:{base + 1}")
    with ExitStack() as stack:
        servers = [
            ZooKeeperServer(folder / f"member-{number}", members=members, number=number)
            for number in range(1, size + 1)
        ]
        for server in servers:
            stack.callback(server.kill)
            server.start(wait=False)
        for server in servers:
            server.wait_ready()
        yield servers


@contextmanager
def zookeeper_client(hosts: str, **options: object) -> Iterator[KazooClient]:
    """Connect the operator's own client, which is not the one under test."""
    client = KazooClient(hosts=hosts, **options)
    client.start(timeout=20)
    try:
        yield client
    finally:
        client.stop()
        client.close()
