"""Verifies signatures in OpenSSH's format SSHSIG: with `cryptography`, which only this module imports for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sidecar.trust.sshsig import MAGIC, Signature, demand, string, strings

_MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 16384
# Of a security key: somebody touched it.
_USER_PRESENT = 1
_CURVES: dict[bytes, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    b"nistp256": (ec.SECP256R1(), hashes.SHA256()),
    b"nistp384": (ec.SECP384R1(), hashes.SHA384()),
    b"nistp521": (ec.SECP521R1(), hashes.SHA512()),
}
_RSA: dict[bytes, hashes.HashAlgorithm] = {b"rsa-sha2-256": hashes.SHA256(), b"rsa-sha2-512": hashes.SHA512()}


class Message:
    """The bytes that were signed; each digest of them is computed once."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._digests: dict[str, bytes] = {}

    def digest(self, name: str) -> bytes:
        """Return the digest by `sha256` or `sha512`."""
        if name not in self._digests:
            self._digests[name] = hashlib.new(name, self._content).digest()
        return self._digests[name]


def verifies(signature: Signature, message: Message, namespace: str) -> bool:
    """Return whether a signature is of its key, over this message, for this namespace."""
    if signature.namespace != namespace.encode():
        return False
    parts = (signature.namespace, b"", signature.hash_name.encode(), message.digest(signature.hash_name))
    signed = MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    try:
        kind, _ = string(signature.key)
        check = _CHECKS.get(kind)
        if check is None:
            return False
        check(signature.key, signature.signed, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ed25519(key: bytes, signature: bytes, signed: bytes) -> None:
    _, point = strings(key, 2)
    algorithm, blob = strings(signature, 2)
    demand(algorithm == b"ssh-ed25519")
    Ed25519PublicKey.from_public_bytes(point).verify(blob, signed)


def _ecdsa(key: bytes, signature: bytes, signed: bytes) -> None:
    kind, curve, point = strings(key, 3)
    algorithm, blob = strings(signature, 2)
    demand(algorithm == kind == b"ecdsa-sha2-" + curve)
    _verify_point(curve, point, blob, signed)


def _rsa(key: bytes, signature: bytes, signed: bytes) -> None:
    _, exponent, modulus = strings(key, 3)
    algorithm, blob = strings(signature, 2)
    public = rsa.RSAPublicNumbers(_integer(exponent), _integer(modulus)).public_key()
    demand(algorithm in _RSA and _MIN_RSA_BITS <= public.key_size <= _MAX_RSA_BITS)
    public.verify(blob.rjust(public.key_size // 8, b"\0"), signed, padding.PKCS1v15(), _RSA[algorithm])


def _security_ed25519(key: bytes, signature: bytes, signed: bytes) -> None:
    _, point, application = strings(key, 3)
    blob, signed = _touched(b"sk-ssh-ed25519@openssh.com", signature, application, signed)
    Ed25519PublicKey.from_public_bytes(point).verify(blob, signed)


def _security_ecdsa(key: bytes, signature: bytes, signed: bytes) -> None:
    _, curve, point, application = strings(key, 4)
    demand(curve == b"nistp256")
    blob, signed = _touched(b"sk-ecdsa-sha2-nistp256@openssh.com", signature, application, signed)
    _verify_point(curve, point, blob, signed)


_CHECKS: Mapping[bytes, Callable[[bytes, bytes, bytes], None]] = {
    b"ssh-ed25519": _ed25519,
    b"ssh-rsa": _rsa,
    b"sk-ssh-ed25519@openssh.com": _security_ed25519,
    b"sk-ecdsa-sha2-nistp256@openssh.com": _security_ecdsa,
    **{b"ecdsa-sha2-" + curve: _ecdsa for curve in _CURVES},
}


def _touched(kind: bytes, signature: bytes, application: bytes, signed: bytes) -> tuple[bytes, bytes]:
    """Return what a security key made and what it was made of (PROTOCOL.u2f), if somebody touched it."""
    algorithm, rest = string(signature)
    blob, rest = string(rest)
    demand(algorithm == kind and len(rest) == 5 and bool(rest[0] & _USER_PRESENT))
    return blob, hashlib.sha256(application).digest() + rest + hashlib.sha256(signed).digest()


def _verify_point(curve: bytes, point: bytes, blob: bytes, signed: bytes) -> None:
    demand(curve in _CURVES)
    kind, algorithm = _CURVES[curve]
    r, s = strings(blob, 2)
    public = ec.EllipticCurvePublicKey.from_encoded_point(kind, point)
    public.verify(encode_dss_signature(_integer(r), _integer(s)), signed, ec.ECDSA(algorithm))


def _integer(blob: bytes) -> int:
    demand(bool(blob) and blob[0] < 0x80)
    return int.from_bytes(blob, "big")
