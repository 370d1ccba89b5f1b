"""Meta and config services behind TLS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from sidecar.sources.base import Unreachable
from tests.integration.apollo.conftest import Watch

_RELEASE = {"cluster": "default", "releaseKey": "1", "configurations": {"content": "dc1"}}


class _Front(BaseHTTPRequestHandler):
    """A gateway that ends TLS, with one release behind it; it names the services that the test wants named."""

    services: tuple[str, ...] = ()

    def do_GET(self) -> None:
        path = self.path.split("/")[1]
        content = {
            "services": [{"homepageUrl": url} for url in self.services],
            "configs": _RELEASE,
        }.get(path)
        self.send_response(200 if content is not None else 304)
        self.end_headers()
        if content is not None:
            self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
        """Log nothing."""


@pytest.fixture
def front(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """Run a gateway with a certificate for localhost; return its port and the file with its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Front) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port, str(tmp_path / "ca.pem")
        server.shutdown()


def test_meta_and_config_services_over_tls(
    front: tuple[int, str], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the authority's file both are trusted; without it the reason names the option."""
    port, ca = front
    monkeypatch.setattr(_Front, "services", (f"https://localhost:{port}/",))
    url = f"apollo+https://localhost:{port}/dispatch/default/routing.yaml"
    watch(url, {"apollo-ca": ca}).reaches("dc1")
    report = watch(url).becomes(Unreachable)
    assert isinstance(report, Unreachable)
    assert "check apollo-ca and the host name" in report.reason


def test_services_without_tls_are_refused_where_the_url_asks_for_it(
    front: tuple[int, str], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With apollo+https nothing is read in the clear, whatever the meta server names."""
    port, ca = front
    monkeypatch.setattr(_Front, "services", ("http://localhost:1/",))
    url = f"apollo+https://localhost:{port}/dispatch/default/routing.yaml"
    report = watch(url, {"apollo-ca": ca}).becomes(Unreachable)
    assert isinstance(report, Unreachable)
    assert "--apollo-config-service" in report.reason
