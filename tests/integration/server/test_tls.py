"""TLS, mutual TLS, and certificates that change while the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives import serialization as pem

from sidecar.errors import ConfigError
from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from tests.harness import Client
from tests.integration.server.conftest import Serve, Served
from tests.waiting import eventually


@dataclass
class Files:
    """The files of a server, and the authority that signs its certificates."""

    authority: trustme.CA
    cert: Path
    key: Path

    def issue(self, authority: trustme.CA | None = None) -> None:
        """Write a new certificate and its key."""
        issued = (authority or self.authority).issue_cert("localhost")
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return the files of a server with a good certificate."""
    made = Files(trustme.CA(), tmp_path / "tls.crt", tmp_path / "tls.key")
    made.issue()
    return made


def secure(serve: Serve, files: Files, **settings: object) -> Served:
    """Start a server with TLS on a TCP port."""
    return serve(listen=("localhost:0",), tls_cert=files.cert, tls_key=files.key, **settings)


def client_of(served: Served, authority: trustme.CA, identity: trustme.LeafCert | None = None) -> Client:
    """Return a client that trusts an authority, with a certificate of its own perhaps."""
    key = identity.private_key_pem.bytes() if identity else None
    chain = identity.cert_chain_pems[0].bytes() if identity else None
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), key, chain)
    return Client(served.address, credentials=credentials)


def answered(served: Served, authority: trustme.CA, identity: trustme.LeafCert | None = None) -> bool:
    """Return whether a new connection is answered."""
    with client_of(served, authority, identity) as client:
        try:
            return client.filter().datacenter == "dc2"
        except grpc.RpcError:
            return False


def test_tls(serve: Serve, files: Files) -> None:
    """A client that trusts the authority is answered; one that does not, and one without TLS, are not."""
    served = secure(serve, files)
    assert answered(served, files.authority)
    assert not answered(served, trustme.CA())
    with Client(served.address, within=1) as plain, pytest.raises(grpc.RpcError):
        plain.filter()


def test_mutual_tls(serve: Serve, files: Files, tmp_path: Path) -> None:
    """With authorities for clients, only those that they signed are answered."""
    clients = trustme.CA()
    client_ca = tmp_path / "clients.crt"
    clients.cert_pem.write_to_path(client_ca)
    served = secure(serve, files, tls_client_ca=client_ca)
    assert answered(served, files.authority, clients.issue_cert("scheduler"))
    assert not answered(served, files.authority, trustme.CA().issue_cert("stranger"))
    assert not answered(served, files.authority)
    # Who may come in can change as well.
    others = trustme.CA()
    others.cert_pem.write_to_path(client_ca)
    eventually(lambda: answered(served, files.authority, others.issue_cert("new")), "a client of the new authority")
    assert not answered(served, files.authority, clients.issue_cert("scheduler"))


def test_new_files_are_taken_up(serve: Serve, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """New connections see the new certificate without a restart; a connection that stands goes on."""
    caplog.set_level("INFO")
    served = secure(serve, files)
    with client_of(served, files.authority) as before:
        assert before.filter().datacenter == "dc2"
        authority = trustme.CA()
        files.issue(authority)
        assert answered(served, authority)
        assert not answered(served, files.authority)
        assert before.filter().datacenter == "dc2"
    assert caplog.text.count("new TLS files are in force") == 1


def test_broken_files_are_refused(serve: Serve, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate of another key, a torn one and a missing one are refused with one line each; the old stay."""
    served = secure(serve, files)
    good = files.key.read_bytes()
    another = trustme.CA().issue_cert("x").private_key_pem.bytes()
    torn = files.cert.read_bytes()[:300]
    for number, (cert, key) in enumerate([(files.cert.read_bytes(), another), (torn, good), (None, good)], start=1):
        files.key.write_bytes(key)
        files.cert.unlink() if cert is None else files.cert.write_bytes(cert)
        for _ in range(3):
            assert answered(served, files.authority)
        assert caplog.text.count("the new TLS files are invalid") == number
    assert "Traceback" not in caplog.text
    files.issue()
    assert answered(served, files.authority)


def test_half_a_replacement_waits_for_the_other_half(serve: Serve, files: Files) -> None:
    """Between the new key and the new certificate connections get the old pair, afterwards the new one."""
    served = secure(serve, files)
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    files.key.write_bytes(issued.private_key_pem.bytes())
    assert answered(served, files.authority)
    files.cert.write_bytes(issued.cert_chain_pems[0].bytes())
    assert answered(served, authority)


@pytest.mark.parametrize("broken", ["cert", "key", "ca", "missing"])
def test_broken_files_at_the_start(files: Files, tmp_path: Path, broken: str) -> None:
    """A server does not start with files that it cannot use; the message names the file."""
    client_ca = tmp_path / "clients.crt"
    trustme.CA().cert_pem.write_to_path(client_ca)
    path = {"cert": files.cert, "key": files.key, "ca": client_ca, "missing": files.cert}[broken]
    path.unlink() if broken == "missing" else path.write_text("no PEM")
    with pytest.raises(ConfigError, match=path.name):
        start(tls_cert=files.cert, tls_key=files.key, tls_client_ca=client_ca)


def test_half_a_pair(files: Files) -> None:
    """A certificate without a key, or authorities without both, is an error that says what is missing."""
    with pytest.raises(ConfigError, match="--tls-key is not set"):
        start(tls_cert=files.cert)
    with pytest.raises(ConfigError, match="--tls-cert is not set"):
        start(tls_client_ca=files.cert)


def test_an_encrypted_key_is_refused(files: Files) -> None:
    """A key with a password is an error, not a question on the terminal."""
    key = pem.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(ConfigError, match="unencrypted key"):
        start(tls_cert=files.cert, tls_key=files.key)


def start(**settings: object) -> None:
    """Start a server that is expected not to."""
    server = Server(RoutingTable(), settings=ServerSettings(listen=("localhost:0",), **settings))  # type: ignore[arg-type]
    server.start()
    server.stop(0)
