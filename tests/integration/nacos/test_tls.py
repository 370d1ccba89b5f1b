"""TLS to a real Nacos, HTTP and gRPC, with an authority of our own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from sidecar.errors import SourceError
from sidecar.sources import open_source
from tests.integration.nacos.conftest import Watch
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.nacos3.server import Nacos3Server

pytestmark = pytest.mark.nacos


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make an authority that no system trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the authority's certificate to a file."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module", params=[NacosServer, Nacos3Server], ids=["2.3", "3.1"])
def secured(
    request: pytest.FixtureRequest, authority: trustme.CA, ca: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NacosServer]:
    """Run a Nacos that speaks TLS on both of its ports, and nothing else."""
    folder = tmp_path_factory.mktemp("nacos-tls")
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = folder / "chain.pem", folder / "key.pem"
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    # Tomcat and Netty read unencrypted PKCS#8 only.
    key.write_bytes(_pkcs8(certificate.private_key_pem.bytes()))
    grpc = "nacos.remote.server.rpc.tls"
    settings = {
        "server.ssl.enabled": "true",
        "server.ssl.certificate": f"file:{chain}",
        "server.ssl.certificate-private-key": f"file:{key}",
        f"{grpc}.enableTls": "true",
        f"{grpc}.compatibility": "false",
        f"{grpc}.certChainFile": f"file:{chain}",
        f"{grpc}.certPrivateKey": f"file:{key}",
    }
    with request.param(folder / "home", settings=settings, tls=ssl.create_default_context(cafile=ca)) as server:
        yield server


def test_both_ports_are_spoken_to_with_tls(secured: NacosServer, ca: str, key: str, watch: Watch) -> None:
    """With the authority's certificate alone, no client certificate, reads and the push both work."""
    secured.operator.publish(key, "dc1")
    watched = watch(source_url([secured], key), {"nacos-ca": ca})
    watched.is_told_of(1)
    secured.operator.publish(key, "dc2")
    watched.reaches("dc2")


def test_a_client_certificate_may_be_shown(
    secured: NacosServer, authority: trustme.CA, ca: str, key: str, watch: Watch, tmp_path: Path
) -> None:
    """Certificate and key of the client go into both channels."""
    secured.operator.publish(key, "dc1")
    certificate = authority.issue_cert("sidecar.example")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    options = {"nacos-ca": ca, "nacos-cert": str(tmp_path / "cert.pem"), "nacos-key": str(tmp_path / "key.pem")}
    watched = watch(source_url([secured], key), options)
    watched.reaches("dc1")


def test_an_authority_that_is_not_trusted_is_said(secured: NacosServer, key: str) -> None:
    """With the system's authorities only, the message says that the certificate is not trusted."""
    source = open_source(source_url([secured], key), {"nacos-tls": "true"})
    with pytest.raises(SourceError, match="not trusted"):
        source.read(5)


def test_plain_text_to_a_tls_port_is_an_error(secured: NacosServer, key: str) -> None:
    """Without TLS nothing is read, and nothing sent but the question."""
    with pytest.raises(SourceError, match=f"127.0.0.1:{secured.port}"):
        open_source(source_url([secured], key), {}).read(5)


def _pkcs8(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - only here
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    return load_pem_private_key(pem, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
