"""Faults of the network, the key and the secrets, on shared servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.integration.nacos.stage import caller_of, reaches, sidecar_of
from tests.servers.nacos.server import GRPC_OFFSET, TOKEN_LIFE, NacosServer, source_url
from tests.servers.process import free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.waiting import eventually


@contextmanager
def wires_to(server: NacosServer) -> Iterator[tuple[TcpProxy, TcpProxy]]:
    """Put a proxy before each of the two ports of the server, HTTP and gRPC."""
    port = free_port(GRPC_OFFSET)
    with ExitStack() as stack:
        http, grpc = (
            stack.enter_context(TcpProxy(server.port + offset, port=port + offset)) for offset in (0, GRPC_OFFSET)
        )
        yield http, grpc


def partitioned(folder: Path, nacos: NacosServer) -> None:
    """Packets lost for 15 s; connections refused for 5 s; forgotten by the server alone (half-open); reset."""
    folder.mkdir()
    key = folder.name
    nacos.operator.publish(key, "dc1")
    with (
        wires_to(nacos) as wires,
        sidecar_of(f"nacos://127.0.0.1:{wires[0].port}/dispatch/{key}", folder) as sidecar,
        caller_of(sidecar) as caller,
    ):
        for number, (fault, seconds) in enumerate(
            ((TcpProxy.drop, 15), (TcpProxy.refuse, 5), (TcpProxy.half_open, 0), (TcpProxy.cut, 0))
        ):
            for wire in wires:
                fault(wire)
            changed = f"dc{number % 2 + 2}"
            nacos.operator.publish(key, changed)
            if seconds:
                caller.until(lambda answer: answer.stale, "stale decisions")
                time.sleep(seconds)
            for wire in wires:
                wire.forward()
            reaches(caller, changed, time.monotonic())
        caller.no_failures()


def push_falls_silent(folder: Path, nacos: NacosServer) -> None:
    """Only the push is cut off, without a sign: changes are found by reading, and a new push is up soon."""
    folder.mkdir()
    key = folder.name
    nacos.operator.publish(key, "dc1")
    with (
        wires_to(nacos) as wires,
        sidecar_of(f"nacos://127.0.0.1:{wires[0].port}/dispatch/{key}", folder) as sidecar,
        caller_of(sidecar) as caller,
    ):
        eventually(lambda: nacos.operator.listeners(key), "a push session", within=60, every=0.2)
        wires[1].half_open()
        accepted = wires[1].accepted
        nacos.operator.publish(key, "dc2")
        reaches(caller, "dc2", time.monotonic())
        eventually(lambda: wires[1].accepted > accepted, "another push session", within=20)
        assert not any(answer.stale for answer in caller.answers)
        caller.no_failures()


def secrets_change(folder: Path, nacos: NacosServer) -> None:
    """Tokens end; the password changes on the server, later in the sidecar's file; no decision fails."""
    folder.mkdir()
    key = folder.name
    operator = nacos.operator
    operator.create_user(key, "first-secret", f"role-{key}", action="r")
    secret = folder / "password"
    secret.write_text("wrong-secret")
    operator.publish(key, "dc1")
    login = {"DC_SIDECAR_NACOS_USERNAME": key, "DC_SIDECAR_NACOS_PASSWORD_FILE": str(secret)}
    with sidecar_of(source_url([nacos], key), folder, wait=False, env=login) as sidecar:
        eventually(lambda: "refuses the user" in sidecar.log_text(), "a refused login")
        secret.write_text("first-secret")
        eventually(lambda: sidecar.status().revision, "a document")
        with caller_of(sidecar) as caller:
            time.sleep(TOKEN_LIFE + 2)
            assert not any(answer.stale for answer in caller.answers), "a token was not renewed in time"
            operator.change_password(key, "second-secret")
            caller.until(lambda answer: answer.stale, "stale decisions", within=60)
            operator.publish(key, "dc2")
            secret.write_text("second-secret")
            reaches(caller, "dc2", time.monotonic())
            caller.no_failures()
        assert "-secret" not in sidecar.log_text()


def key_comes_and_goes(folder: Path, nacos: NacosServer) -> None:
    """Neither namespace nor key at the start; created; deleted, which removes no route; created again."""
    folder.mkdir()
    key = folder.name
    nacos.operator.create_namespace(key)
    operator = nacos.operator.within(key)
    with sidecar_of(source_url([nacos], key, namespace=key), folder, wait=False) as sidecar:
        eventually(lambda: sidecar.status().source_state == pb.SOURCE_STATE_MISSING, "the key to be missed")
        operator.publish(key, "dc1")
        eventually(lambda: sidecar.status().revision, "a document")
        with caller_of(sidecar) as caller:
            operator.delete(key)
            eventually(lambda: sidecar.status().source_state == pb.SOURCE_STATE_MISSING, "the key to be missed again")
            operator.publish(key, "dc2")
            reaches(caller, "dc2", time.monotonic())
            assert caller.datacenters() == ["dc1", "dc2"]
            caller.no_failures()
