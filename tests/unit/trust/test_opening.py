"""Opening and following the file of allowed signers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.routing.document import parse_document
from sidecar.trust.opening import SignatureSettings, SignedDocuments
from tests.ssh_keys import Signer, signed_by

TEXT = b"datacenters: [dc1, dc2]\ndefault: dc1\n"


def opened(file: Path, *, count: int = 1, fewer: tuple[tuple[str, int], ...] = ()) -> SignedDocuments:
    """Return signed documents by a file of signers."""
    settings = SignatureSettings(allowed_signers=file, require_signatures=count, fewer_signatures=fewer)
    return SignedDocuments(settings)


def test_lines_that_are_not_used_are_logged(
    alice: Signer, bob: Signer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start and at a reload, each with its place; beyond ten lines, how many more."""
    file = tmp_path / "allowed"
    file.write_text(f"{alice.line()}\n{bob.line('cert-authority')}\n")
    reloader = opened(file).reloader(lambda: None, lambda: None)
    (warning,) = caplog.messages
    assert f"{file}:2: certificates are not supported" in warning
    caplog.clear()
    file.write_text("\n".join([alice.line(), *[f"*@{number} {bob.public}" for number in range(12)]]))
    reloader.look()
    warnings = [message for message in caplog.messages if "not used" in message]
    assert f"{file}:2: signatures are counted by name" in warnings[0]
    assert (len(warnings), "2 more lines are not used" in warnings[-1]) == (11, True)


def test_a_document_in_force_that_lost_its_signers_is_logged(
    alice: Signer, bob: Signer, carol: Signer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, when a signer is removed whom it needs; not for others, nor where it was not signed enough before."""
    file = tmp_path / "allowed"

    def warned(text: bytes, *left: Signer, count: int = 1, fewer: tuple[tuple[str, int], ...] = ()) -> list[str]:
        caplog.clear()
        file.write_text("\n".join(one.line() for one in (alice, bob, carol)))
        reloader = opened(file, count=count, fewer=fewer).reloader(lambda: None, lambda: (text, parse_document(text)))
        file.write_text("\n".join(one.line() for one in left))
        reloader.look()
        return [message for message in caplog.messages if "would be refused now" in message]

    by_alice, by_both = signed_by(TEXT, alice), signed_by(TEXT, alice, bob)
    (warning,) = warned(by_alice, bob, carol)
    assert "an unknown key" in warning
    assert warned(by_alice, alice, bob) == []
    assert warned(by_both, alice, carol) == []
    (warning,) = warned(by_both, alice, carol, count=2)
    assert "1 more must sign, of carol" in warning
    assert warned(by_both, alice, carol, count=2, fewer=(("drill", 1),)) == [warning]
    assert warned(by_alice, alice, carol, count=2, fewer=(("drill", 1),)) == []
