"""The client's side of TLS, for sources that connect themselves."""

from __future__ import annotations

import ssl


def client_context(ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """Return a context that trusts `ca` alone, or the system's authorities without one, and shows `cert` if given.

    The paths are of PEM files; a `cert` without a `key` holds its key as well. Raises OSError, ssl.SSLError among
    them, and ValueError for files that cannot be used.
    """
    context = ssl.create_default_context(cafile=ca or None)
    if cert:
        context.load_cert_chain(cert, key or None)
    return context
