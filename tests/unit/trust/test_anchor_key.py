"""The sidecar's own key, and what it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sidecar.errors import ConfigError
from sidecar.trust.anchor_key import NAMESPACE, open_private_key, open_public_key
from tests.ssh_keys import Signer


def openssl(*words: str) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def test_ssh_keygen_verifies_what_the_key_signs(alice: Signer, tmp_path: Path) -> None:
    """A signature is one that `ssh-keygen -Y verify` takes, for the namespace of anchors and no other."""
    found = open_private_key(alice.key, "--anchor-key").sign(b"head")
    (tmp_path / "signature").write_text(f"-----BEGIN SSH SIGNATURE-----\n{found}\n-----END SSH SIGNATURE-----\n")
    (tmp_path / "allowed").write_text(f"{alice.line()}\n")

    def verified(namespace: str, content: bytes) -> bool:
        command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "alice", "-n", namespace]
        command += ["-s", str(tmp_path / "signature")]
        return subprocess.run(command, input=content, capture_output=True, timeout=60, check=False).returncode == 0

    assert verified(NAMESPACE, b"head")
    assert not verified("dc-sidecar", b"head")
    assert not verified(NAMESPACE, b"tail")


def test_pem_keys_are_read_too(tmp_path: Path) -> None:
    """A key of openssl signs, and its public half verifies; another content or signature is named as wrong."""
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(private))
    openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    private.chmod(0o600)
    signature = open_private_key(private, "--anchor-key").sign(b"head")
    key = open_public_key(public, "--anchor-key")
    assert key.problem(b"head", signature) == ""
    assert key.problem(b"tail", signature) == "its signature is wrong"
    assert key.problem(b"head", "AAAA") == "its signature is none"


def test_another_key_is_named(alice: Signer, tmp_path: Path) -> None:
    """A signature by another key says by which, and which was expected."""
    other = Signer(tmp_path, "other")
    signature = open_private_key(other.key, "--anchor-key").sign(b"head")
    public = open_public_key(alice.key.with_suffix(".pub"), "--anchor-key")
    problem = public.problem(b"head", signature)
    fingerprint = open_public_key(other.key.with_suffix(".pub"), "--anchor-key").fingerprint
    assert f"signed by another key, {fingerprint}, expected {public.fingerprint}" in problem


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The mode is named, with the remedy."""
    key = Signer(tmp_path, "me").key
    key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"everybody can use it \(mode 0644\).*chmod 600"):
        open_private_key(key, "--anchor-key")


def test_a_file_that_is_no_usable_key_is_refused(carol: Signer, tmp_path: Path) -> None:
    """RSA, a passphrase, a public key, nonsense and a missing file: each error says how to make a key."""
    locked, public, nonsense = tmp_path / "locked", tmp_path / "public", tmp_path / "nonsense"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(locked)]
    subprocess.run(command, check=True, timeout=60)
    public.write_text(carol.public)
    nonsense.write_bytes(b"\xff\x00")
    for file in (public, nonsense):
        file.chmod(0o600)
    for file, reason in (
        (carol.key, "another kind, expected Ed25519"),
        (locked, "no private key without a passphrase"),
        (public, "no private key"),
        (nonsense, "no private key"),
        (tmp_path / "missing", "cannot be read: No such file"),
    ):
        with pytest.raises(ConfigError, match=f"{reason}.*ssh-keygen -t ed25519"):
            open_private_key(file, "--anchor-key")
    for file in (carol.key.with_suffix(".pub"), nonsense):
        with pytest.raises(ConfigError, match=r"no public Ed25519 key.*ssh-keygen -y"):
            open_public_key(file, "--anchor-key")
