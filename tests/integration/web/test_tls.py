"""HTTP over TLS."""

from __future__ import annotations

import hashlib
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme

from tests.certificates import Authority, Leaf
from tests.harness import SidecarProcess
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually


def test_new_certificates_are_taken_up(tmp_path: Path) -> None:
    """HTTP speaks TLS only where there is a certificate; a new one in the same files counts without a restart."""
    certificate, key, document = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "routing.yaml"
    document.write_text("dc1")
    port = free_port()

    def renew() -> trustme.CA:
        authority = trustme.CA()
        issued = authority.issue_cert(LOOPBACK)
        issued.private_key_pem.write_to_path(key)
        issued.cert_chain_pems[0].write_to_path(certificate)
        return authority

    def answers(authority: trustme.CA) -> bool:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        try:
            with urllib.request.urlopen(f"https://{LOOPBACK}:{port}/readyz", timeout=5, context=context) as answer:
                return bool(answer.status == 200)
        except urllib.error.URLError:
            return False

    old = renew()
    flags = ("--tls-cert", str(certificate), "--tls-key", str(key), "--http", f"{LOOPBACK}:{port}")
    with SidecarProcess(f"file:{document}", *flags, folder=tmp_path):
        assert answers(old)
        with pytest.raises((OSError, urllib.error.URLError)):
            urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=5)
        new = renew()
        eventually(lambda: answers(new), "the new certificate", within=20)
        assert not answers(old)


def test_the_policy_decides_who_may_call(tmp_path: Path) -> None:
    """By certificate, by token, or not at all; probes need neither; another authority in the file takes over."""
    authority, document = Authority(), tmp_path / "routing.yaml"
    document.write_text("dc1")
    server = authority.issue(dns=["localhost"])
    files = {"cert": server.pem, "key": server.key, "ca": authority.pem}
    files["tokens"] = f"page sha256:{hashlib.sha256(b'secret').hexdigest()}\n".encode()
    files["policy"] = b"""\
callers:
- {name: local, match: unix}
- {name: page, match: "token:page", rate: 50}
- {name: metrics, match: "uri:spiffe://example/prometheus", calls: [http]}
- {name: scheduler, match: "uri:spiffe://example/*", apps: [billing]}
"""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    port = free_port()
    options = {
        "--tls-cert": "cert",
        "--tls-key": "key",
        "--tls-client-ca": "ca",
        "--policy": "policy",
        "--tokens": "tokens",
    }
    flags = [word for option, name in options.items() for word in (option, str(tmp_path / name))]

    def status(path: str, leaf: Leaf | None = None, token: str = "") -> int:
        context = ssl.create_default_context(cadata=authority.pem.decode())
        if leaf is not None:
            (tmp_path / "leaf").write_bytes(leaf.pem + leaf.key)
            context.load_cert_chain(tmp_path / "leaf")
        request = urllib.request.Request(f"https://localhost:{port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            # The server does not take the certificate.
            return 0

    with SidecarProcess(f"file:{document}", *flags, "--http", f"localhost:{port}", folder=tmp_path) as sidecar:
        assert status("/healthz") == 200
        assert status("/metrics") == 401
        assert status("/metrics", token="secret") == 200
        assert status("/metrics", token="guess") == 401
        assert status("/metrics", authority.issue(uris=["spiffe://example/prometheus"])) == 200
        assert status("/v1/status", authority.issue(uris=["spiffe://example/powerjob"])) == 403
        assert status("/v1/status", authority.issue(dns=["other"])) == 403
        scheduler = authority.issue(uris=["spiffe://example/powerjob"])
        assert status("/v1/active/billing/dc1", scheduler) == 200
        assert status("/v1/active/reports/dc1", scheduler) == 403
        assert status("/v1/decide?app=reports&key=7", scheduler) == 403
        assert status("/v1/decide?app=billing&key=7", scheduler) in (200, 204)
        successor = Authority()
        renewed = successor.issue(uris=["spiffe://example/prometheus"])
        assert status("/metrics", renewed) == 0
        (tmp_path / "ca").write_bytes(b"no certificate")
        eventually(lambda: "the previous ones stay in use" in sidecar.log_text(), "the refusal of the file", within=20)
        assert status("/v1/active/billing/dc1", scheduler) == 200
        (tmp_path / "ca").write_bytes(successor.pem)
        eventually(lambda: status("/metrics", renewed) == 200, "the new authority", within=20)
        assert status("/v1/active/billing/dc1", scheduler) == 0
        assert status("/healthz") == 200
