"""When a document is signed enough: by whom, for which applications, in which order."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError, DocumentRejected
from sidecar.routing.document import parse_document
from sidecar.trust.allowed_signers import read_allowed_signers
from sidecar.trust.app_signers import read_app_signers, read_fewer
from sidecar.trust.changed_parts import changed_parts
from sidecar.trust.envelope import NAMESPACE, open_envelope, unsigned, write_envelope
from sidecar.trust.signatures import Requirements, SignatureAdmission, check_requirements, verified
from sidecar.trust.sshsig import read_signature
from sidecar.trust.verification import Message, verifies
from tests.ssh_keys import Signer, message, signed_by

NOW_NS = 1_800_000_000 * 10**9
TEXT = b"datacenters: [dc1, dc2]\ndefault: dc1\napps: {billing: dc1, payments-eu: dc2}\n"
Admit = Callable[..., None]


@pytest.fixture
def everybody(alice: Signer, bob: Signer, carol: Signer) -> str:
    """Return a file of allowed signers."""
    return "\n".join(one.line() for one in (alice, bob, carol))


@pytest.fixture
def admit(everybody: str) -> Admit:
    """Return what raises where a document may not follow another."""

    def admit(text: bytes, before: bytes | None = None, requirements: Requirements | None = None) -> None:
        found = read_allowed_signers(everybody, "file", NAMESPACE)
        admission = SignatureAdmission(found, requirements or Requirements())
        admission.check_text(text, before, NOW_NS)
        earlier = parse_document(unsigned(before)) if before is not None else None
        admission.check_change(text, parse_document(text), earlier, NOW_NS)

    return admit


def refusal(admit: Admit, *arguments: object) -> str:
    """Return why a document is refused."""
    with pytest.raises(DocumentRejected) as refused:
        admit(*arguments)
    return str(refused.value)


def test_every_kind_of_key_counts(admit: Admit, alice: Signer, bob: Signer, carol: Signer) -> None:
    """Ed25519, ECDSA and RSA, as ssh-keygen signs with them."""
    admit(signed_by(TEXT, alice, bob, carol), None, Requirements(3))


def test_the_shortage_names_who_signed_and_who_is_missing(admit: Admit, alice: Signer, bob: Signer) -> None:
    """Also whose signatures do not count, and why."""
    assert refusal(admit, TEXT) == (
        "signatures: the document is not signed: sign it with `dc-sidecar sign FILE --sign KEY`"
    )
    assert refusal(admit, signed_by(TEXT, bob), None, Requirements(2)) == (
        "signatures: signed by bob; 1 more must sign, of alice, carol (of 2 in all)"
    )
    assert "signed by alice; 1 more" in refusal(admit, signed_by(TEXT, alice, alice), None, Requirements(2))


def test_foreign_and_misplaced_signatures_do_not_count(
    admit: Admit, alice: Signer, bob: Signer, tmp_path: Path
) -> None:
    """An unknown key is named by its fingerprint; a signature over another text by its signer."""
    stranger = Signer(tmp_path, "stranger")
    mine = signed_by(TEXT, alice, stranger)
    assert "an unknown key (SHA256:" in refusal(admit, mine, None, Requirements(2))
    other = open_envelope(signed_by(b"dc2", bob))
    found = open_envelope(mine)
    assert other is not None
    assert found is not None
    spliced = write_envelope(TEXT, found.line, [found.signatures[0], *other.signatures])
    assert "not counted: bob, but for another text" in refusal(admit, spliced, None, Requirements(2))


def test_a_key_counts_while_it_is_valid(alice: Signer) -> None:
    """Before and after that its signature is none, and the reason is given."""
    text = signed_by(TEXT, alice)
    signers = read_allowed_signers(alice.line('valid-before="20270101Z"'), "file", NAMESPACE)
    assert verified(text, signers, 1_700_000_000).signers == ("alice",)
    late = verified(text, signers, 1_900_000_000)
    assert late.signers == ()
    assert late.others == ("alice, with a key that is not valid after 2027-01-01T00:00:00Z",)


def test_an_earlier_document_is_not_taken_again(admit: Admit, alice: Signer, bob: Signer) -> None:
    """Lower and equal sequences are refused; the same text with another signature is the same document."""
    first, second = signed_by(TEXT, alice, sequence=5), signed_by(b"dc2", alice, sequence=6)
    admit(second, first)
    assert "the sequence 5 does not follow 6" in refusal(admit, first, second)
    assert "does not follow 5" in refusal(admit, signed_by(b"dc2", alice, sequence=5), first)
    admit(signed_by(TEXT, alice, bob, sequence=5), first)


def test_a_sequence_far_ahead_locks_nobody_out(admit: Admit, alice: Signer) -> None:
    """A clock that is wrong by more than a day is found before its document is in force."""
    ahead = NOW_NS // 10**6 + 25 * 3600 * 1000
    assert "more than a day ahead" in refusal(admit, signed_by(TEXT, alice, sequence=ahead))
    admit(signed_by(TEXT, alice, sequence=NOW_NS // 10**6))


def test_a_document_is_for_its_environment(admit: Admit, alice: Signer) -> None:
    """That of a test environment is refused in production, and one without in both."""
    prod = Requirements(environment="prod")
    admit(signed_by(TEXT, alice, environment="prod"), None, prod)
    assert "signed for the environment test, and this sidecar is of the environment prod" in refusal(
        admit, signed_by(TEXT, alice, environment="test"), None, prod
    )
    assert "signed for no environment" in refusal(admit, signed_by(TEXT, alice), None, prod)


def test_applications_can_need_their_own_signers(admit: Admit, alice: Signer, carol: Signer) -> None:
    """Only changes that touch them do, and what is for all applications touches them."""
    rule = read_app_signers("payments-*=alice,bob")
    assert rule is not None
    rules = Requirements(apps=(rule,))
    before = signed_by(TEXT, alice, sequence=1)
    billing = TEXT.replace(b"billing: dc1", b"billing: dc2")
    admit(signed_by(billing, carol, sequence=2), before, rules)
    for changed in (
        TEXT.replace(b"eu: dc2", b"eu: dc1"),
        TEXT.replace(b"default: dc1", b"default: dc2"),
        TEXT.replace(b"[dc1, dc2]", b"{dc1: {}, dc2: {available: false}}"),
        TEXT + b'drills: [{datacenter: dc1, until: "2027-01-01T00:00:00Z"}]\n',
        TEXT + b'drills: [{datacenter: dc1, until: "2027-01-01T00:00:00Z", apps: [payments-us]}]\n',
        TEXT + b'workers: [{match: "10.1.0.7:*", available: false}]\n',
    ):
        said = refusal(admit, signed_by(changed, carol, sequence=2), before, rules)
        assert said.startswith("signatures: signed by carol; 1 more must sign for changes of payments-*, of alice, bob")
        admit(signed_by(changed, alice, sequence=2), before, rules)


def test_drills_can_need_fewer(admit: Admit, alice: Signer, bob: Signer) -> None:
    """A change of drills alone; together with another change it needs as many as that."""
    rules = Requirements(2, {"drill": 1})
    before = signed_by(TEXT, alice, bob, sequence=1)
    drill = TEXT + b'drills: [{datacenter: dc1, until: "2027-01-01T00:00:00Z"}]\n'
    admit(signed_by(drill, alice, sequence=2), before, rules)
    both = drill.replace(b"billing: dc1", b"billing: dc2")
    assert "1 more must sign" in refusal(admit, signed_by(both, alice, sequence=2), before, rules)
    assert "1 more must sign" in refusal(admit, signed_by(drill, alice, sequence=2), None, rules)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ((b"default: dc1", b"default: dc1\nmeta: {by: lin}"), ""),
        ((b"[dc1, dc2]", b"{dc1: {available: false}, dc2: {}}"), "mark"),
        ((b"[dc1, dc2]", b"{dc1: {cidrs: [10.0.0.0/8]}, dc2: {}}"), ""),
        ((b"billing: dc1", b'billing: {active: dc1, jobs: {"7": dc2}}'), "pin"),
        ((b"billing: dc1", b"billing: dc2"), ""),
        ((b"billing: dc1, ", b""), ""),
        ((b"default: dc1", b"default: dc2"), ""),
    ],
)
def test_changes_have_kinds(change: tuple[bytes, bytes], kind: str) -> None:
    """Only those that are nothing else."""
    after = parse_document(TEXT.replace(*change))
    assert changed_parts(parse_document(TEXT), after).only_kind == kind


@given(st.integers(0, 100_000), st.integers(1, 255))
def test_no_changed_byte_is_taken(signed: tuple[bytes, SignatureAdmission], at: int, flip: int) -> None:
    """A text that differs in a byte is refused, or says the same under the same signature."""
    text, admission = signed
    at %= len(text)
    changed = text[:at] + bytes([text[at] ^ flip]) + text[at + 1 :]
    try:
        admission.check_text(changed, None, NOW_NS)
    except DocumentRejected:
        return
    assert message(changed) == message(text)


@pytest.fixture(scope="session")
def signed(alice: Signer) -> tuple[bytes, SignatureAdmission]:
    """Return a signed document, and what admits it."""
    signers = read_allowed_signers(alice.line(), "file", NAMESPACE)
    return signed_by(TEXT, alice), SignatureAdmission(signers, Requirements())


def _vectors() -> tuple[str, list[Any]]:
    found = yaml.safe_load((Path(__file__).parents[2] / "vectors/signing.yaml").read_text())
    return found["allowed_signers"], [one for one in found["documents"] if one.get("message")]


@pytest.mark.parametrize("vector", _vectors()[1], ids=lambda vector: vector["name"])
def test_the_vectors_are_signed_by_whom_they_say(vector: Any) -> None:  # noqa: ANN401 - YAML
    """Also those that were changed afterwards: by nobody."""
    signers = read_allowed_signers(_vectors()[0], "vectors", NAMESPACE)
    found = verified(base64.b64decode(vector["text"]), signers, 0)
    assert list(found.signers) == vector["signers"]


def test_other_namespaces_do_not_count(alice: Signer) -> None:
    """A signature of a commit or a file is none of a document."""
    found = open_envelope(signed_by(TEXT, alice))
    assert found is not None
    signature = read_signature(found.signatures[0])
    assert signature is not None
    assert verifies(signature, Message(found.message), "dc-sidecar")
    assert not verifies(signature, Message(found.message), "git")


def _packed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


@pytest.mark.parametrize("touched", [True, False])
@pytest.mark.parametrize("kind", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
def test_security_keys_count_if_they_were_touched(kind: str, touched: bool) -> None:
    """As FIDO keys sign (PROTOCOL.u2f): over the application, flags and counter too."""
    inner = _packed(b"dc-sidecar", b"", b"sha512", hashlib.sha512(b"text").digest())
    tail = bytes([1 if touched else 0]) + (7).to_bytes(4, "big")
    signed = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(b"SSHSIG" + inner).digest()
    if "ed25519" in kind:
        private = Ed25519PrivateKey.generate()
        raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        key = _packed(kind.encode(), private.public_key().public_bytes(*raw), b"ssh:")
        blob = private.sign(signed)
    else:
        curve = ec.generate_private_key(ec.SECP256R1())
        point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        key = _packed(kind.encode(), b"nistp256", curve.public_key().public_bytes(*point), b"ssh:")
        blob = _packed(*map(_mpint, decode_dss_signature(curve.sign(signed, ec.ECDSA(hashes.SHA256())))))
    proper = _packed(kind.encode(), blob) + tail
    raw_signature = b"SSHSIG" + (1).to_bytes(4, "big") + _packed(key, b"dc-sidecar", b"", b"sha512", proper)
    signature = read_signature(base64.b64encode(raw_signature).decode())
    assert signature is not None
    assert verifies(signature, Message(b"text"), "dc-sidecar") is touched


@given(st.binary(max_size=200))
def test_no_blob_breaks_the_verification(blob: bytes) -> None:
    """Whatever is in a signature, it is one or none."""
    signature = read_signature(base64.b64encode(b"SSHSIG\0\0\0\1" + blob).decode())
    assert signature is None or not verifies(signature, Message(b""), "dc-sidecar")


@pytest.mark.parametrize("option", ["payments-*", "=alice", "payments=", "a=b=c"])
def test_wrong_options_are_none(option: str) -> None:
    """The configuration then says what is expected."""
    assert read_app_signers(option) is None
    assert read_fewer(option) is None
    assert read_fewer("drill=0") is None
    assert read_fewer("pin=2") == ("pin", 2)


def test_requirements_that_nobody_can_meet_are_refused(everybody: str) -> None:
    """At the start, and when the file is reloaded."""
    signers = read_allowed_signers(everybody, "file", NAMESPACE)
    rule = read_app_signers("payments-*=alice dave")
    alone = read_app_signers("payments-*=alice")
    assert rule is not None
    assert alone is not None
    for requirements, said in (
        (Requirements(4), "found 3 signers (alice, bob, carol), expected 4 at least"),
        (Requirements(apps=(rule,)), "does not name dave"),
        (Requirements(2, apps=(alone,)), "found 1 signers, expected 2 at least"),
    ):
        with pytest.raises(ConfigError) as wrong:
            check_requirements(requirements, signers, "file")
        assert said in str(wrong.value)


def test_a_large_document_is_verified_in_less_than_ten_milliseconds(everybody: str, alice: Signer, bob: Signer) -> None:
    """1 MiB with two signatures, the best of five, in CPU time."""
    text = signed_by(b"# " + b"x" * (1 << 20) + b"\ndefault: dc1\n", alice, bob)
    signers = read_allowed_signers(everybody, "file", NAMESPACE)

    def once() -> float:
        began = time.process_time()
        assert len(verified(text, signers, 0).signers) == 2
        return time.process_time() - began

    assert min(once() for _ in range(5)) < 0.01
