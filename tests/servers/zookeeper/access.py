"""What a ZooKeeper needs that asks who comes: SASL users, and TLS with an authority of the tests' own."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.servers.process import LOOPBACK


def sasl(folder: Path, users: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the settings and Java options of a server that knows these users, with their passwords."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = "\n".join(f'  user_{user}="{password}"' for user, password in users.items())
    jaas = folder / "jaas.conf"
    jaas.write_text(f"Server {{\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n{entries};\n}};\n")
    provider = {"authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"}
    return provider, [f"-Djava.security.auth.login.config={jaas}"]


class Authority:
    """An authority that certifies for the tests, its certificate in `ca`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))

    def certify(self, identity: str) -> tuple[Path, Path]:
        """Return the paths of a certificate and its key."""
        issued = self._authority.issue_cert(identity)
        name = identity.replace(":", "_")
        cert, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        cert.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        # Java reads no other form of a key than PKCS 8.
        private = load_pem_private_key(issued.private_key_pem.bytes(), None)
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert, key

    def tls(self, port: int, *, identity: str = LOOPBACK, clients: str = "none") -> dict[str, str]:
        """Return the settings of a server with TLS on `port`; `clients` is what it asks of them: none, want or need."""
        cert, key = self.certify(identity)
        store = self._folder / f"store-{port}.pem"
        store.write_bytes(key.read_bytes() + cert.read_bytes())
        return {
            "secureClientPort": str(port),
            "secureClientPortAddress": LOOPBACK,
            "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
            "ssl.keyStore.location": str(store),
            "ssl.trustStore.location": str(self.ca),
            "ssl.clientAuth": clients,
            "authProvider.2": "org.apache.zookeeper.server.auth.X509AuthenticationProvider",
        }
