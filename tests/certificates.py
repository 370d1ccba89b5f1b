"""An authority whose certificates have what those of `trustme` cannot: SPIFFE ids, an end, a place in a CRL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Leaf:
    """A certificate and its key, both PEM."""

    certificate: x509.Certificate
    key: bytes

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """An authority of a test."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, *, dns: Sequence[str] = (), uris: Sequence[str] = (), name: str = "leaf", expired: bool = False
    ) -> Leaf:
        """Return a certificate; without `dns` and `uris` it has a common name only."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        end = now - DAY if expired else now + DAY
        made = (
            x509.CertificateBuilder(self._name, _name(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(end)
        )
        names = [*map(x509.DNSName, dns), *map(x509.UniformResourceIdentifier, uris)]
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Leaf(made.sign(self._key, hashes.SHA256()), _pem(key))

    def revoke(self, *leaves: Leaf) -> bytes:
        """Return a list of revoked certificates, PEM."""
        now = datetime.now(UTC)
        made = x509.CertificateRevocationListBuilder(self._name, now - DAY, now + DAY)
        for leaf in leaves:
            serial = leaf.certificate.serial_number
            made = made.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now - DAY).build())
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def credentials(self, leaf: Leaf | None = None) -> grpc.ChannelCredentials:
        """Return the credentials of a client that trusts this authority, with a certificate of its own perhaps."""
        return grpc.ssl_channel_credentials(self.pem, leaf.key if leaf else None, leaf.pem if leaf else None)
