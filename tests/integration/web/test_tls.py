"""HTTP over TLS."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme

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
