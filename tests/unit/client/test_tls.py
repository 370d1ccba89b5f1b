from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from sidecar.client import RoutingClient, SidecarUnreachable, SourceState, Tls
from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    """Make an authority, and with it the certificates of a server and of a client."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, certificate in (
        ("server", authority.issue_cert("sidecar.internal")),
        ("client", authority.issue_cert("client.internal")),
    ):
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    return authority


@pytest.fixture
def address(tmp_path: Path, ca: trustme.CA) -> Iterator[str]:
    """Run a server that wants a client's certificate."""
    assert ca is not None
    table = RoutingTable()
    settings = ServerSettings(
        listen=("127.0.0.1:0",),
        tls_cert=tmp_path / "server.pem",
        tls_key=tmp_path / "server.key",
        tls_client_ca=tmp_path / "ca.pem",
    )
    server = Server(table, settings=settings, source="file:test")
    (listening,) = server.start()
    table.start()
    yield listening
    server.stop(1.0)
    table.stop()


def test_mutual_tls(tmp_path: Path, address: str) -> None:
    """With its own certificate, the authority and the server's name, the client is served."""
    tls = Tls(
        ca=tmp_path / "ca.pem",
        cert=tmp_path / "client.pem",
        key=tmp_path / "client.key",
        server_name="sidecar.internal",
    )
    with RoutingClient(address, tls=tls, timeout=20.0, cache_size=0) as client:
        assert client.status().source_state is SourceState.CONNECTING


@pytest.mark.parametrize("tls", ["no certificate", "another name", "plaintext"])
def test_refused_connections_are_unreachable(tmp_path: Path, address: str, tls: str) -> None:
    """Without a certificate, under another name, or without TLS, the call fails with an error of one line."""
    own = {"cert": tmp_path / "client.pem", "key": tmp_path / "client.key"}
    secure = {
        "no certificate": Tls(ca=tmp_path / "ca.pem", server_name="sidecar.internal"),
        "another name": Tls(ca=tmp_path / "ca.pem", **own, server_name="other.internal"),
        "plaintext": None,
    }[tls]
    with (
        RoutingClient(address, tls=secure, timeout=20.0, cache_size=0) as client,
        pytest.raises(SidecarUnreachable) as caught,
    ):
        client.status()
    assert "\n" not in str(caught.value)


def test_a_failed_handshake_is_called_one(tmp_path: Path, ca: trustme.CA) -> None:
    """Where the sidecar serves no TLS, the message says what failed and what to check, not OpenSSL's last words."""
    assert ca is not None
    table = RoutingTable()
    server = Server(table, settings=ServerSettings(listen=("127.0.0.1:0",)), source="file:test")
    (listening,) = server.start()
    try:
        with (
            RoutingClient(listening, tls=Tls(ca=tmp_path / "ca.pem"), timeout=20.0, cache_size=0) as client,
            pytest.raises(SidecarUnreachable, match=r"TLS handshake failed: check that it serves TLS"),
        ):
            client.status()
    finally:
        server.stop(1.0)
