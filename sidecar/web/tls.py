"""The TLS context of the HTTP server, made again when its files are replaced."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any, Self

log = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int, int] | None, ...]


class ReloadedContext(ssl.SSLContext):
    """A context that hands each new connection to one made of the files as they are; open connections keep theirs.

    With a `client_ca` clients may show certificates of its authorities. Raises OSError, ssl.SSLError among them, for
    files that cannot be used at the start.
    """

    def __new__(cls, *_: Path | None) -> Self:
        """Make the context that asyncio knows; it wraps no connection itself."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, cert: Path, key: Path | None, client_ca: Path | None) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._seen = self._signature()
        self._current = self._made()

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:  # noqa: ANN401 - those of the base class
        """Return the TLS layer of a new connection."""
        return self._current.wrap_bio(*args, **options)

    def reload(self) -> None:
        """Use the files as they are now; if they cannot be used, that is logged, and the previous ones stay."""
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            # A new one: authorities cannot be removed from a context, and clients could resume sessions with it.
            self._current = self._made()
        except OSError as error:
            log.warning("the new TLS files cannot be used for HTTP; the previous ones stay in use: %s", error)

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # An empty password: without one OpenSSL would ask on the terminal for that of an encrypted key.
        context.load_cert_chain(self._cert, self._key, password="")
        if self._client_ca is not None:
            # Probes have no certificate: who may call without one is the policy's to say.
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self._client_ca)
        return context

    def _signature(self) -> _Signature:
        return tuple(_signature(path) for path in (self._cert, self._key, self._client_ca))


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None
