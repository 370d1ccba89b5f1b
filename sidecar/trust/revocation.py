"""Reads lists of revoked certificates, and finds certificates in them; imported where such a list is configured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from sidecar.errors import ConfigError

_PEM = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RevokedCertificates:
    """The serial numbers of revoked certificates, by the encoded name of their issuer."""

    serials: Mapping[bytes, frozenset[int]] = field(default_factory=dict)

    def has(self, certificate: bytes) -> bool:
        """Return whether a certificate (PEM) is revoked; one that cannot be read counts as revoked."""
        try:
            found = x509.load_pem_x509_certificate(certificate)
        except ValueError:
            return True
        return found.serial_number in self.serials.get(found.issuer.public_bytes(), ())


def read_revoked(content: bytes, authorities: bytes, place: str) -> RevokedCertificates:
    """Return the certificates that the lists in a file (PEM) revoke.

    Raises ConfigError for a list that cannot be read, or that none of the authorities (PEM) has signed. A list that is
    overdue still counts: to ignore it would admit what it revokes.
    """
    issuers = {one.subject.public_bytes(): one for one in x509.load_pem_x509_certificates(authorities)}
    serials: dict[bytes, frozenset[int]] = {}
    for number, text in enumerate(_PEM.findall(content), 1):
        try:
            revoked = x509.load_pem_x509_crl(text)
        except ValueError as error:
            raise ConfigError(f"{place}: list {number} cannot be read: {error}") from error
        name = revoked.issuer.public_bytes()
        issuer = issuers.get(name)
        key = issuer.public_key() if issuer is not None else None
        if key is None or not revoked.is_signature_valid(key):  # type: ignore[arg-type]  # of the kinds that authorities have
            raise ConfigError(
                f"{place}: list {number}, by {revoked.issuer.rfc4514_string()}, is not signed by one of --tls-client-ca"
            )
        serials[name] = serials.get(name, frozenset()) | {one.serial_number for one in revoked}
    if not serials:
        raise ConfigError(f"{place}: found no list of revoked certificates, expected PEM (-----BEGIN X509 CRL-----)")
    return RevokedCertificates(serials)
