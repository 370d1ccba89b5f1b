"""SSH keys of signers, made by ssh-keygen, and documents that they signed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sidecar.trust.envelope import SignedLine, message_of, open_envelope, write_envelope
from sidecar.trust.ssh_keygen import sign


class Signer:
    """Somebody with an SSH key in a folder."""

    def __init__(self, folder: Path, name: str, kind: str = "ed25519") -> None:
        self.name = name
        self.key = folder / f"{name}-{kind}"
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(self.key)]
        subprocess.run(command, check=True, timeout=60)

    @property
    def public(self) -> str:
        """The type and the base64 of the public key."""
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    def line(self, options: str = "") -> str:
        """Return the line of a file of allowed signers."""
        return f"{self.name} {options} {self.public}".replace("  ", " ")


def signed_by(text: bytes, *signers: Signer, sequence: int = 1, environment: str = "", follows: str = "") -> bytes:
    """Return a document with the signatures of some signers, who sign the same."""
    line = SignedLine(sequence, environment, follows)
    message = message_of(text, line)
    return write_envelope(text, line, [sign(message, signer.key) for signer in signers])


def message(text: bytes) -> bytes:
    """Return what is signed of a signed document."""
    envelope = open_envelope(text)
    assert envelope is not None
    return envelope.message
