"""Where signatures are in a text, and which bytes they are over."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import DocumentRejected
from sidecar.routing.document import read_tree
from sidecar.trust.envelope import (
    MAX_SIGNATURES,
    Envelope,
    SignedLine,
    is_json,
    message_of,
    open_envelope,
    unsigned,
    write_envelope,
)

VECTORS = Path(__file__).parents[2] / "vectors/signing.yaml"
LINE = SignedLine(7, "prod", "3a7f09c21b44")
SIGNATURE = base64.b64encode(b"SSHSIG" + bytes(range(150))).decode()
TEXTS = (
    b"dc1",
    b"default: dc1\napps: {billing: dc2}\n",
    b"\xef\xbb\xbfdefault: dc1\r\napps:\r\n  billing: dc2",
    b"meta:\n  reason: |+\n    kept\n\n\ndefault: dc1\n",
    b'{"default": "dc1"}',
    b'{\n  "default": "dc1",\n  "apps": {"billing": "dc2"}\n}\n',
    b"{}",
    b"{default: dc1} # flow\n",
    b'{"default": "dc1", "apps": {"signatures": {"active": "dc2"}, "billing": "dc1"}}',
)


def opened(text: bytes) -> Envelope:
    """Return the envelope of a signed text."""
    found = open_envelope(text)
    assert found is not None
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_is_read_again(text: bytes) -> None:
    """Message, line and signatures come back, and the document says the same with and without them."""
    signed = write_envelope(text, LINE, [SIGNATURE, SIGNATURE])
    found = opened(signed)
    assert (found.line, found.signatures) == (LINE, (SIGNATURE, SIGNATURE))
    assert found.message == message_of(text, LINE)
    tree = read_tree(signed)
    if isinstance(tree, dict):
        tree.pop("signatures", None)
    assert tree == read_tree(text) == read_tree(found.unsigned)
    assert message_of(found.unsigned, LINE) == found.message
    assert write_envelope(found.unsigned, LINE, [SIGNATURE]) == write_envelope(text, LINE, [SIGNATURE])


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_without_signatures_has_none(text: bytes) -> None:
    """It is no error, and the text stays as it is."""
    assert open_envelope(text) is None
    assert unsigned(text) == text


@pytest.mark.parametrize("text", TEXTS)
def test_line_breaks_and_the_end_of_the_text_are_not_signed(text: bytes) -> None:
    """What the text box of a console does: CRLF, no break at the end, a byte order mark."""
    signed = write_envelope(text, LINE, [SIGNATURE])
    unix = signed.replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf")
    for pasted in (unix, unix.replace(b"\n", b"\r\n"), unix.rstrip(b"\n"), unix + b"\n\n", b"\xef\xbb\xbf" + unix):
        assert opened(pasted).message == message_of(text, LINE)


@given(st.sampled_from(TEXTS), st.integers(0, 2000), st.binary(max_size=3), st.integers(0, 3))
def test_a_change_of_the_text_changes_the_message_or_nothing(text: bytes, at: int, put: bytes, cut: int) -> None:
    """Whatever is cut out and put in: a text with the same message says the same."""
    signed = write_envelope(text, LINE, [SIGNATURE])
    at = min(at, len(signed))
    changed = signed[:at] + put + signed[at + cut :]
    try:
        found = open_envelope(changed)
        tree = read_tree(changed)
    except DocumentRejected:
        return
    if found is None or found.message != message_of(text, LINE):
        return
    if isinstance(tree, dict):
        tree.pop("signatures", None)
    assert tree == read_tree(text)


@given(st.sampled_from(TEXTS), st.text(max_size=20), st.sampled_from(["\r", "\x85", "\u2028", "\n", "\r\n"]))
def test_nothing_can_follow_the_signatures(text: bytes, more: str, break_: str) -> None:
    """Text behind the signatures, after whatever ends a line for somebody, is refused or blank."""
    signed = write_envelope(text, LINE, [SIGNATURE]) + (break_ + more).encode()
    try:
        found = open_envelope(signed)
        tree = read_tree(signed)
    except DocumentRejected:
        return
    if found is not None and found.message == message_of(text, LINE):
        if isinstance(tree, dict):
            tree.pop("signatures", None)
        assert tree == read_tree(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"default: dc1\n# -----BEGIN SSH SIGNATURE-----\n# AA==\n# -----END SSH SIGNATURE-----\n", "the line before"),
        (
            write_envelope(b"dc1", LINE, [SIGNATURE]) + b"default: dc2\n",
            "something else between or after the signatures",
        ),
        (write_envelope(b"dc1", LINE, [SIGNATURE])[:-40], "something else between or after"),
        (write_envelope(b"dc1", LINE, [SIGNATURE] * (MAX_SIGNATURES + 1)), "expected 1 to 16"),
        (write_envelope(b"dc1\rdc2", LINE, [SIGNATURE]), "a carriage return"),
        (write_envelope(b"dc1", SignedLine(2**53), [SIGNATURE]), "expected 9007199254740991 at most"),
        (b'{"signatures": {"sequence": 1, "ssh": []}, "default": "dc1"}', "not the last member"),
        (b'{"default": "dc1", "signatures": {"sequence": 1, "sequence": 2, "ssh": []}}', "found another value"),
        (b'{"default": "dc1", "signatures": {"sequence": true, "ssh": []}}', "found another value"),
        (b'{"default": "dc1", "signatures": {"sequence": 1, "ssh": ["x"]}}', "found another value"),
        (b'{"default": "dc1", "signatures": {"sequence": 1, "ssh": []}}', "found 0 signatures"),
        (b'{"default": "dc1" "signatures": {"sequence": 1, "ssh": []}}', "does not follow another member"),
    ],
)
def test_broken_signatures_are_refused(text: bytes, said: str) -> None:
    """The error says what is wrong; nothing is taken for unsigned that has signatures."""
    with pytest.raises(DocumentRejected) as refused:
        open_envelope(text)
    assert said in str(refused.value)
    assert "signatures" in str(refused.value)
    assert unsigned(text) == text


@pytest.mark.parametrize("text", [b"[]", b"{default: dc1}", b"dc1", b"{"])
def test_only_json_objects_are_json(text: bytes) -> None:
    """Everything else has room for comments."""
    assert not is_json(text)


def _vectors() -> list[Any]:
    found = yaml.safe_load(VECTORS.read_text())
    return list(found["documents"])


@pytest.mark.parametrize("vector", _vectors(), ids=lambda vector: vector["name"])
def test_the_vectors_hold(vector: Any) -> None:  # noqa: ANN401 - YAML
    """Each text has the message, the line and the number of signatures that the file says, or is refused."""
    text = base64.b64decode(vector["text"])
    if "refused" in vector:
        with pytest.raises(DocumentRejected):
            open_envelope(text)
    elif vector["message"] is None:
        assert open_envelope(text) is None
    else:
        found = opened(text)
        assert found.message.decode() == vector["message"]
        assert found.line == SignedLine(**vector["line"])
        assert len(found.signatures) == vector["signatures"]
