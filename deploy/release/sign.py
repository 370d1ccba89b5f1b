"""Signs dist/SHA256SUMS with the GPG key in GPG_PRIVATE_KEY, if there is one: `python -m deploy.release.sign`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.release.dist import ROOT, NotReleasable


def main() -> int:
    """Sign; print what was done. Return the exit code."""
    key = os.environ.get("GPG_PRIVATE_KEY", "")
    if not key:
        sys.stdout.write("GPG_PRIVATE_KEY is not set: no GPG signature\n")
        return 0
    try:
        made = sign(ROOT / "dist/SHA256SUMS", key, os.environ.get("GPG_PASSPHRASE", ""))
    except NotReleasable as error:
        sys.stderr.write(f"sign: {error}\n")
        return 1
    sys.stdout.write(f"signed: {made.relative_to(ROOT)}\n")
    return 0


def sign(file: Path, key: str, passphrase: str) -> Path:
    """Return the armored signature `FILE.asc` by an armored private key, in a keyring of its own."""
    signature = file.with_name(f"{file.name}.asc")
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        try:
            _gpg(home, ["--import"], key)
            words = ["--pinentry-mode", "loopback", "--passphrase-fd", "0", "--yes", "--armor", "--detach-sign"]
            _gpg(home, [*words, "--output", str(signature), str(file)], passphrase)
        finally:
            stop = ["gpgconf", "--homedir", home, "--kill", "all"]
            subprocess.run(stop, capture_output=True, check=False)
    return signature


def _gpg(home: str, words: list[str], given: str) -> None:
    done = subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--quiet", *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise NotReleasable(f"gpg failed: {lines[-1]}")


if __name__ == "__main__":
    sys.exit(main())
