"""The config centers that the failures are tried on: a fake, a file, ZooKeeper, Apollo, Nacos."""

from __future__ import annotations

import contextlib
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from kazoo.exceptions import NoNodeError

from tests.integration.failures.fake_center import FakeCenter
from tests.servers.apollo.server import ApolloServer, source_url, thawed
from tests.servers.nacos.server import GRPC_OFFSET, NacosServer
from tests.servers.process import LOOPBACK, ServerProcess, free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client
from tests.waiting import eventually

_KEY = "routing"


class Center(Protocol):
    """One key of one config center, and what can befall it. `module` is what `python -m` runs as the sidecar."""

    url: str
    module: str

    def put(self, text: str) -> None: ...
    def remove(self) -> None: ...
    def kill(self) -> None:
        """Let it be away; `restart` ends that."""
        ...

    def restart(self) -> None: ...
    def freeze(self) -> None:
        """Let it hang; `thaw` ends that."""
        ...

    def thaw(self) -> None: ...
    def cut_off(self) -> None:
        """Let no byte through between the sidecar and it; `rejoin` ends that."""
        ...

    def rejoin(self) -> None: ...


class FakeOne:
    """The fake source behind a fake center."""

    module = "tests.integration.failures.fake_center"

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._center = FakeCenter(folder / "center.sock")
        self.url = f"fake:{self._center.path}"
        self._center.start()
        stack.callback(self._center.kill)

    def put(self, text: str) -> None:
        self._center.text = text

    def remove(self) -> None:
        self._center.text = None

    def kill(self) -> None:
        self._center.kill()

    def restart(self) -> None:
        self._center.start()

    def freeze(self) -> None:
        self._center.silent = True

    def thaw(self) -> None:
        self._center.silent = False

    cut_off, rejoin = freeze, thaw


class FileOne:
    """A local file. It is broken by what takes its place: a directory as where a mount is gone, a pipe that hangs."""

    module = "sidecar"

    def __init__(self, stack: ExitStack, folder: Path) -> None:  # noqa: ARG002 - every center is made alike
        self._path = folder / "routing.yaml"
        self._aside = folder / "aside.yaml"
        self.url = f"file:{self._path}"

    def put(self, text: str) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self._aside if self._aside.exists() else self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def kill(self) -> None:
        self._path.rename(self._aside)
        self._path.mkdir()

    def restart(self) -> None:
        self._path.rmdir()
        self._aside.rename(self._path)

    def freeze(self) -> None:
        self._path.rename(self._aside)
        os.mkfifo(self._path)

    def thaw(self) -> None:
        self._path.unlink()
        self._aside.rename(self._path)

    cut_off, rejoin = freeze, thaw


class _Server:
    """A real server of its own, behind wires that can be cut."""

    module = "sidecar"

    def __init__(self, server: ServerProcess, *wires: TcpProxy) -> None:
        self._process = server
        self._wires = wires

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        self._process.start()

    def freeze(self) -> None:
        self._process.freeze()

    def thaw(self) -> None:
        self._process.thaw()

    def cut_off(self) -> None:
        for wire in self._wires:
            wire.drop()

    def rejoin(self) -> None:
        for wire in self._wires:
            wire.cut()
            wire.forward()


class ZooKeeperOne(_Server):
    """A ZooKeeper."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._server = stack.enter_context(ZooKeeperServer(folder / "zookeeper"))
        wire = stack.enter_context(TcpProxy(self._server.port))
        super().__init__(self._server, wire)
        self.url = f"zookeeper://{LOOPBACK}:{wire.port}/{_KEY}"

    def put(self, text: str) -> None:
        with zookeeper_client(self._server.address) as operator:
            operator.ensure_path(_KEY)
            operator.set(_KEY, text.encode())

    def remove(self) -> None:
        with zookeeper_client(self._server.address) as operator, contextlib.suppress(NoNodeError):
            operator.delete(_KEY)


class ApolloOne(_Server):
    """An Apollo whose meta server names the near end of the wire."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._server = stack.enter_context(ApolloServer(folder / "apollo"))
        wire = stack.enter_context(TcpProxy(self._server.port))
        super().__init__(self._server, wire)
        self._server.operator.settle("settings", configServices=[f"http://{LOOPBACK}:{wire.port}/"])
        self.url = source_url(self._server, namespace="routing.yaml").replace(str(self._server.port), str(wire.port))

    def put(self, text: str) -> None:
        self._server.operator.release("routing.yaml", text)

    def remove(self) -> None:
        self._server.operator.delete("routing.yaml")

    def thaw(self) -> None:
        super().thaw()
        thawed(self._server)


class NacosOne(_Server):
    """A Nacos with a wire for each of its two ports. It takes long to start, so it is started early."""

    def __init__(self, stack: ExitStack, server: NacosServer) -> None:
        self._server = server
        server.wait_ready()
        port = free_port(GRPC_OFFSET)
        super().__init__(
            server,
            *(stack.enter_context(TcpProxy(server.port + offset, port=port + offset)) for offset in (0, GRPC_OFFSET)),
        )
        self.url = f"nacos://{LOOPBACK}:{port}/{server.operator.group}/{_KEY}"

    def put(self, text: str) -> None:
        self._server.operator.publish(_KEY, text)

    def remove(self) -> None:
        self._server.operator.delete(_KEY)

    def thaw(self) -> None:
        super().thaw()
        eventually(self._server.operator.ready, "Nacos to answer again", within=30)
