"""The settings of the gRPC server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

MIB = 1024 * 1024
# Requests up to this size are taken however little memory there is.
_LEAST = 256 * 1024
# The memory of which one stream, or connection, may be open; each takes about a fifth of it.
_STREAM = 512 * 1024
_CONNECTION = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the server listens, how it proves itself, and its bounds; `Server` checks them when it starts.

    listen: `127.0.0.1:50051`, `[::1]:50051`, `localhost:0`, `unix:/run/dc-sidecar.sock`; port 0 lets the kernel choose.
    allow_plaintext: serve without TLS on TCP addresses that are not loopback, too.
    tls_cert, tls_key: PEM files, both or none; with them every TCP listener speaks TLS only.
    tls_client_ca: PEM file; with it clients on TCP must show a certificate that one of these authorities signed.
    policy: file with what callers may do, None for everything. tokens: file with digests of bearer tokens.
    tls_crl: PEM file with lists of revoked client certificates.
    socket_mode, socket_owner: of Unix sockets; `USER:GROUP`, `USER` or `:GROUP`, None for the process's own.
    max_memory: bytes that the process may use, None for the limit of its control group, if it has one.
    max_message_size: bytes of one request.
    max_candidates: candidates of one request.
    max_concurrent_calls: unary calls under way.
    max_streams: streams open at once, of those that ask (FilterWorkersStream), and of those that watch (WatchRoutes,
        and the health service's Watch).
    memo_entries, memo_bytes: how much of what was answered is remembered under one State; no entries, no memory.
    call_handling: `direct` (on gRPC's own thread), `threads` (public API of grpcio only), or `auto`: direct where a
        check at start passes.
    large_bytes: requests that wait for, or are at work on, the thread for large ones.
    update_bytes: updates under way to watchers.
    max_connections: connections to each address.
    reuse_port: let several processes listen on the same port, each for a share of the connections.
    environment: what GetStatus says that this sidecar is for, such as `prod`.
    """

    listen: tuple[str, ...] = ("127.0.0.1:50051",)
    allow_plaintext: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    policy: Path | None = None
    tokens: Path | None = None
    tls_crl: Path | None = None
    socket_mode: int = 0o660
    socket_owner: str | None = None
    max_memory: int | None = None
    max_message_size: int = 4 * MIB
    max_candidates: int = 20_000
    max_concurrent_calls: int = 1000
    max_streams: int = 1000
    memo_entries: int = 4096
    memo_bytes: int = 16 * MIB
    call_handling: str = "auto"
    reuse_port: bool = False
    large_bytes: int = 16 * MIB
    update_bytes: int = 4 * MIB
    environment: str | None = None
    max_connections: int = 500

    def within(self, limit: int | None) -> ServerSettings:
        """Return the settings with each bound lowered to its share of the memory that there is; None for no limit."""
        if limit is None:
            return self
        return replace(
            self,
            max_message_size=min(self.max_message_size, max(_LEAST, limit // 16)),
            memo_bytes=min(self.memo_bytes, limit // 16),
            large_bytes=min(self.large_bytes, limit // 8),
            update_bytes=min(self.update_bytes, limit // 32),
            max_streams=min(self.max_streams, max(1, limit // _STREAM)),
            max_connections=min(self.max_connections, max(1, limit // _CONNECTION)),
        )
