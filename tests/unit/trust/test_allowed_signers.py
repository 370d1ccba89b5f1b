"""OpenSSH's file of allowed signers, read as ssh-keygen does where signatures are counted by name."""

from __future__ import annotations

import pytest

from sidecar.errors import ConfigError
from sidecar.trust.allowed_signers import AllowedSigners, read_allowed_signers
from tests.ssh_keys import Signer

PLACE = "--allowed-signers file"


def read(*lines: str) -> AllowedSigners:
    """Return the signers of a file with these lines."""
    return read_allowed_signers("\n".join(lines), PLACE, "dc-sidecar")


def test_names_keys_comments_and_options_are_read(alice: Signer, bob: Signer, carol: Signer) -> None:
    """Comments and empty lines say nothing; options come in any case."""
    found = read(
        "# ours",
        "",
        alice.line() + " a comment",
        f'"bob" NAMESPACES="git,dc-*" {bob.public}',
        carol.line('namespaces="file"'),
    )
    assert found.signers == ("alice", "bob")
    assert len(found.keys) == 2


@pytest.mark.parametrize(
    ("patterns", "covered"),
    [("dc-sidecar", True), ("dc-?idecar", True), ("*,!dc-sidecar", False), ("[d]c-sidecar", False), ("git", False)],
)
def test_namespaces_are_patterns(alice: Signer, bob: Signer, patterns: str, covered: bool) -> None:
    """As OpenSSH matches them: `*`, `?`, `!` for what is not meant, no classes."""
    found = read(alice.line(f'namespaces="{patterns}"'), bob.line())
    assert ("alice" in found.signers) is covered


def test_names_of_a_line_are_one_signer(alice: Signer, bob: Signer, carol: Signer) -> None:
    """Also where lines share only some of their names: nobody counts twice."""
    found = read(f"alice {alice.public}", f"bob {bob.public}", f"alice@example,alice {carol.public}")
    assert found.names == {"alice": "alice", "bob": "bob", "alice@example": "alice"}
    joined = read(f"alice {alice.public}", f"work {bob.public}", f"work,alice {carol.public}")
    assert joined.signers == ("alice",)


def test_validity_is_read_in_utc(alice: Signer) -> None:
    """To the minute or the second, or as a day."""
    found = read(alice.line('valid-after="20260102Z",valid-before="202603041200Z"'))
    ((key,),) = found.keys.values()
    assert (key.valid_after, key.valid_before) == (1767312000, 1772625600)
    assert key.reason_against(1767312000 - 1) == "not valid before 2026-01-02T00:00:00Z"
    assert key.reason_against(1772625600 + 1) == "not valid after 2026-03-04T12:00:00Z"
    assert not key.reason_against(1767312000)


def test_what_cannot_be_counted_by_name_is_warned_of(alice: Signer, bob: Signer) -> None:
    """Patterns for names and certificates do not count for anybody."""
    found = read(f"*@example {alice.public}", bob.line("cert-authority"), f"bob {alice.public}")
    assert found.signers == ("bob",)
    assert len(found.warnings) == 2
    assert all(one.startswith(PLACE) for one in found.warnings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("alice", "file:1: expected NAME [OPTIONS] KEYTYPE KEY"),
        ("alice ssh-dss AAAA", "file:1: expected NAME"),
        ("alice ssh-ed25519 AAAA", "expected a public key of type ssh-ed25519"),
        ("alice ssh-ed25519 !!!!", "expected a public key of type ssh-ed25519"),
        ("# nobody", "found nobody who may sign for dc-sidecar"),
        ('alice valid-after="soon" {key}', "valid-after: found soon"),
        ('alice valid-after="20261399" {key}', "valid-after: found 20261399"),
        ("alice namespace=x {key}", "found the options namespace=x"),
        ("alice {key}\nbob {key}", "alice and bob have the same key"),
    ],
)
def test_a_wrong_line_is_named(alice: Signer, line: str, said: str) -> None:
    """The error has the file, the line, what was found and what is expected."""
    with pytest.raises(ConfigError) as wrong:
        read(line.replace("{key}", alice.public))
    assert said in str(wrong.value)
