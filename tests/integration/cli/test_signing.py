"""Signed documents: real ssh-keygen and ssh-agent, a real sidecar, and somebody who can write the key."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Caller, SidecarProcess
from tests.integration.cli.commands import run
from tests.ssh_keys import Signer, signed_by
from tests.waiting import eventually

TEXT = b"datacenters: [dc1, dc2]\ndefault: dc1\napps: {billing: dc1}\n"


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signer, Signer]:
    """Return two signers."""
    folder = tmp_path_factory.mktemp("keys")
    return Signer(folder, "alice"), Signer(folder, "bob", "ecdsa")


@pytest.fixture
def key(tmp_path: Path, signers: tuple[Signer, Signer]) -> Path:
    """Return the file that is the key, signed by both."""
    path = tmp_path / "routing.yaml"
    path.write_bytes(signed_by(TEXT, *signers))
    return path


@pytest.fixture
def sidecar(tmp_path: Path, key: Path, signers: tuple[Signer, Signer]) -> Iterator[SidecarProcess]:
    """Return a sidecar that takes what both signed."""
    allowed = tmp_path / "allowed_signers"
    allowed.write_text("\n".join(one.line('namespaces="dc-sidecar"') for one in signers))
    words = ("--allowed-signers", str(allowed), "--require-signatures", "2", "--state-dir", str(tmp_path / "state"))
    with SidecarProcess(f"file:{key}", *words, folder=tmp_path) as started:
        yield started


def _refused(sidecar: SidecarProcess, said: str) -> None:
    eventually(lambda: said in sidecar.status().source_error, f"a refusal: {said}")
    assert sidecar.status().source_state == 4


def test_four_eyes_from_the_command_line(sidecar: SidecarProcess, key: Path, signers: tuple[Signer, Signer]) -> None:
    """One operator proposes, another approves; without a signature the command says what to do and writes nothing."""
    alice, bob = signers
    before = key.read_bytes()
    words = ("--source", f"file:{key}", "--yes", "--candidates", "dc1=2,dc2=2")
    refused = run("switch", "billing", "dc2", *words)
    assert refused.returncode == 3
    assert "pass --sign KEY" in re.sub(r"\s+", " ", refused.stderr)
    assert key.read_bytes() == before
    proposed = run("switch", "billing", "dc2", *words, "--sign", str(alice.key), "--propose")
    assert proposed.returncode == 0, proposed.stderr
    assert key.read_bytes() == before
    wait = ("--wait", "10", "--sidecar", sidecar.address)
    approved = run("approve", *words, "--sign", str(bob.key), *wait)
    assert approved.returncode == 0, approved.stderr
    assert "is signed by alice, bob" in sidecar.log_text()
    again = run("approve", *words, "--sign", str(bob.key))
    assert again.returncode == 3
    undone = run("undo", *words, "--sign", str(bob.key), "--propose")
    assert undone.returncode == 0, undone.stderr
    assert b"signatures" not in key.read_bytes()
    assert run("approve", *words, "--sign", str(alice.key), *wait).returncode == 0
    assert sidecar.status().source_state == 2
    key.write_bytes(before)
    _refused(sidecar, "does not follow")


def test_what_an_attacker_can_write_changes_nothing(
    sidecar: SidecarProcess, key: Path, signers: tuple[Signer, Signer]
) -> None:
    """Unsigned, signed by one, spliced, replayed, also after a restart: refused, and calls are answered throughout."""
    alice, bob = signers
    first = key.read_bytes()
    second = signed_by(TEXT.replace(b"default: dc1", b"default: dc2"), alice, bob, sequence=2)
    revision = sidecar.status().revision
    with Caller(sidecar.address) as caller:
        for text, said in (
            (b"dc2", "the document is not signed"),
            (signed_by(b"dc2", alice, sequence=3), "signed by alice; 1 more must sign, of bob"),
            (first.replace(b"billing: dc1", b"billing: dc2"), "but for another text"),
            (first.replace(b"sequence=1", b"sequence=9"), "but for another text"),
            (first + b"drills: []\n", "something else between or after the signatures"),
        ):
            key.write_bytes(text)
            _refused(sidecar, said)
            assert sidecar.status().revision == revision
        key.write_bytes(second)
        eventually(lambda: sidecar.status().revision != revision, "the second document")
        key.write_bytes(first)
        _refused(sidecar, "does not follow 2")
    caller.no_failures()
    sidecar.end()
    sidecar.start()
    _refused(sidecar, "does not follow 2")


def test_signers_are_reloaded(
    sidecar: SidecarProcess, key: Path, signers: tuple[Signer, Signer], tmp_path: Path
) -> None:
    """A refused document is taken once its signers are known; a broken file changes nothing."""
    alice, bob = signers
    carol = Signer(tmp_path, "carol")
    allowed = tmp_path / "allowed_signers"
    key.write_bytes(signed_by(b"dc2", alice, carol, sequence=2))
    _refused(sidecar, "an unknown key")
    allowed.write_text("nonsense")
    eventually(lambda: "not reloaded" in sidecar.log_text(), "the broken file in the log")
    allowed.write_text("\n".join(one.line() for one in (alice, bob, carol)))
    eventually(lambda: sidecar.status().source_state == 2, "the document in force")


def test_an_agent_signs(tmp_path: Path, signers: tuple[Signer, Signer]) -> None:
    """With the public key alone, by a key that ssh-agent has; ssh-keygen verifies what is in the file."""
    alice, _ = signers
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        eventually(socket.exists, "the agent's socket")
        env = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", str(alice.key)], env=env, check=True, timeout=30)
        public = tmp_path / "alice.pub"
        public.write_text(alice.public)
        document = tmp_path / "routing.yaml"
        document.write_bytes(b"default: dc1\n")
        signed = run("sign", str(document), "--sign", str(public), env={"SSH_AUTH_SOCK": str(socket)})
        assert signed.returncode == 0, signed.stderr
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(10)
    # As docs/signing.md has it.
    script = """
    sed '/^# -----BEGIN SSH SIGNATURE-----$/,$d' routing.yaml > message
    sed -n 's/^# \\(-----\\|[A-Za-z0-9+/=]*$\\)/\\1/p' routing.yaml | sed -n '/BEGIN/,/END/p' > signature
    ssh-keygen -Y verify -f allowed -I alice -n dc-sidecar -s signature < message
    """
    (tmp_path / "allowed").write_text(alice.line())
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_signing_by_hand(tmp_path: Path, sidecar: SidecarProcess, key: Path, signers: tuple[Signer, Signer]) -> None:
    """A line, ssh-keygen and sed are all it takes."""
    key.with_name("new.yaml").write_bytes(b"default: dc2\n")
    script = f"""
    echo "# dc-sidecar-signed sequence=2" >> new.yaml
    cp new.yaml message
    for signer in {signers[0].key} {signers[1].key}; do
      ssh-keygen -q -Y sign -n dc-sidecar -f $signer message
      sed 's/^/# /' message.sig >> new.yaml; rm message.sig
    done
    mv new.yaml {key}
    """
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, timeout=30, capture_output=True)
    eventually(lambda: sidecar.filter().datacenter == "dc2", "the document in force")
    eventually(lambda: sidecar.log_text().count("is signed by alice, bob") == 2, "who signed it, in the log")
