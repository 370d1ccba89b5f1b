"""TLS and mutual TLS from files that may be replaced while the server runs."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

import grpc

from sidecar.errors import ConfigError
from sidecar.server.settings import ServerSettings

log = logging.getLogger(__name__)

# A set of files is taken when it read the same before and after it was checked; a replacement under way gets this often
# another chance, and then the next handshake.
_ATTEMPTS = 3

_Contents = tuple[bytes, ...]
_Signature = tuple[tuple[int, int, int] | None, ...]


class CertificateReloader:
    """The certificate chain, its key, and the authorities of clients (None: any client), as they are in their files.

    Raises ConfigError when they cannot be used at the start. Later, broken files are refused with one line in the log,
    and what was in force stays.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._files = (cert, key) if client_ca is None else (cert, key, client_ca)
        self._mutual = client_ca is not None
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._contents = self._checked()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that check the files at each handshake; open connections keep theirs."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._newer,  # type: ignore[arg-type]  # the stubs miss that None means: nothing new
            require_client_authentication=self._mutual,
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        cert, key, *client_ca = self._contents
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=next(iter(client_ca), None))

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the content of the files if valid and changed, else None; gRPC calls this at each handshake."""
        with self._lock:
            signature = self._signature()
            if signature == self._seen:
                return None
            try:
                contents = self._checked()
            except ConfigError as error:
                log.error("the new TLS files are invalid; the previous ones stay in use: %s", error)  # noqa: TRY400 - an operator's mistake needs no traceback
                self._seen = signature
                return None
            self._seen = signature
            if contents == self._contents:
                return None
            self._contents = contents
            log.info("new TLS files are in force: %s", ", ".join(map(str, self._files)))
            return self._configuration()

    def _signature(self) -> _Signature:
        return tuple(_signature(file) for file in self._files)

    def _checked(self) -> _Contents:
        for _ in range(_ATTEMPTS):
            before = tuple(map(_read, self._files))
            self._check()
            if tuple(map(_read, self._files)) == before:
                return before
        raise ConfigError("they change while they are read: replace them by renaming")

    def _check(self) -> None:
        cert, key, *client_ca = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An empty password: without one OpenSSL would ask on the terminal for that of an encrypted key.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{cert} and {key} are no certificate chain and its unencrypted key, both PEM: {_reason(error)}"
            ) from None
        for file in client_ca:
            try:
                context.load_verify_locations(cafile=file)
            except (OSError, ValueError) as error:
                raise ConfigError(f"{file} holds no certificates of authorities, PEM: {_reason(error)}") from None


def certificates(settings: ServerSettings) -> CertificateReloader | None:
    """Return the configured TLS files, None for no TLS. Raises ConfigError for half a pair and for unusable files."""
    cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        missing = "--tls-cert" if cert is None else "--tls-key"
        raise ConfigError(f"TLS needs a certificate and its key, but {missing} is not set")
    return CertificateReloader(cert, key, client_ca)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
