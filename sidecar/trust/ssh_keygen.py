"""Signs with ssh-keygen, which knows keys in files, in ssh-agent and on security keys."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from sidecar.errors import ChangeRefused
from sidecar.trust.envelope import NAMESPACE, base64_of

_WITHIN_S = 120


def sign(message: bytes, key: Path) -> str:
    """Return the base64 of a signature over a message by a private key, or a public one whose other half an agent has.

    ssh-keygen asks for passphrases and touches on the terminal. Raises ChangeRefused.
    """
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
    try:
        # Its messages are for the operator: touch the security key, or the problem of the key.
        done = subprocess.run(command, input=message, stdout=subprocess.PIPE, timeout=_WITHIN_S, check=False)
        if done.returncode == 0:
            return base64_of(done.stdout.decode())
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise ChangeRefused(
            f"ssh-keygen could not sign with {key} ({error}), nothing was written: it needs OpenSSH 8.2 or newer"
        ) from error
    raise ChangeRefused(
        f"ssh-keygen could not sign with {key} (its message is above), nothing was written: name a private key, or the "
        "public key of one that ssh-agent has"
    )


def fits(message: bytes, signature: str) -> bool:
    """Return whether a signature, in base64, is over this message, by any key. Raises ChangeRefused."""
    with tempfile.TemporaryDirectory(prefix="dc-sidecar-sign-") as folder:
        file = Path(folder) / "signature"
        parts = [signature[at : at + 70] for at in range(0, len(signature), 70)]
        file.write_text("\n".join(("-----BEGIN SSH SIGNATURE-----", *parts, "-----END SSH SIGNATURE-----", "")))
        command = ["ssh-keygen", "-q", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(file)]
        try:
            done = subprocess.run(command, input=message, capture_output=True, timeout=_WITHIN_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ChangeRefused(f"ssh-keygen could not verify a signature ({error}): is OpenSSH installed?") from error
        return done.returncode == 0
