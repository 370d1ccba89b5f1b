"""The signatures that a document carries: where they are in its text, and which bytes they are over.

docs/signing.md specifies the format; tests/vectors/signing has texts that every implementation must read alike.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.errors import DocumentRejected, Problem

NAMESPACE = "dc-sidecar"
MAX_SIGNATURES = 16
# Numbers that every JSON reader keeps exact.
MAX_SEQUENCE = 2**53 - 1

_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_COMMENT = f"# {_BEGIN}".encode()
_LINE = re.compile(
    rb"# dc-sidecar-signed sequence=(0|[1-9][0-9]{0,15})(?: environment=([^\x00-\x20=]{1,256}))?"
    rb"(?: follows=([0-9a-f]{12}))?\n"
)
_LINE_BEGIN = b"# dc-sidecar-signed "
_ENVIRONMENT = re.compile(r"[\w.-]{1,64}")
_BASE64 = rb"[A-Za-z0-9+/=]{1,100}"
_SIGNATURE = re.compile(
    rb"# -----BEGIN SSH SIGNATURE-----[ \t]*\n"
    rb"((?:# " + _BASE64 + rb"[ \t]*\n){1,200})"
    rb"# -----END SSH SIGNATURE-----[ \t]*(?:\n[ \t\n]*|\Z)"
)
_ARMOR = re.compile(rf"{_BEGIN}\n((?:[A-Za-z0-9+/=]{{1,100}}\n){{1,200}}){_END}\n?")
_MEMBER = b'"signatures"'
_VALUE = re.compile(rb'"signatures"[ \t\n]*:[ \t\n]*(\{[^{}]*\})[ \t\n]*\}[ \t\n]*')
_MEMBERS = {"sequence", "environment", "follows", "ssh"}
_BOM = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class SignedLine:
    """The line that a signature covers beside the document.

    `sequence` grows with each document of a key; `environment` is that of the sidecars which may take it, "" for those
    without one. `follows` is the revision that the signer saw in the key, "" where that is not known; who approves the
    document is warned if another one is in force then.
    """

    sequence: int
    environment: str = ""
    follows: str = ""

    @property
    def text(self) -> bytes:
        """The line as it is signed, with its line break."""
        environment = f" environment={self.environment}" if self.environment else ""
        follows = f" follows={self.follows}" if self.follows else ""
        return f"# dc-sidecar-signed sequence={self.sequence}{environment}{follows}\n".encode()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The signatures of a text.

    `message` has the bytes that were signed, `signatures` the base64 of each SSHSIG blob, without line breaks.
    `unsigned` is the text without line and signatures.
    """

    message: bytes
    line: SignedLine
    signatures: tuple[str, ...]
    unsigned: bytes


def sequence_now() -> int:
    """Return the sequence of a document that is signed now: the time in milliseconds."""
    return time.time_ns() // 1_000_000


def open_envelope(text: bytes) -> Envelope | None:
    """Return the signatures of a text, None if it has none; they are not verified.

    Raises DocumentRejected where there are signatures, but not as they must be.
    """
    body = text.removeprefix(_BOM).replace(b"\r\n", b"\n")
    start = 0 if body.startswith(_COMMENT) else body.find(b"\n" + _COMMENT) + 1
    if start or body.startswith(_COMMENT):
        found = _commented(text, body, start)
    elif body.lstrip(_BLANKS)[:1] == b"{" and _MEMBER in body and _has_member(body):
        found = _member(text, body)
    else:
        return None
    if b"\r" in found.message:
        raise _refused("found a carriage return without a line feed, which readers take in different ways: remove it")
    return found


def is_signed(text: bytes) -> bool:
    """Return whether a text has signatures, or lines that look like them."""
    try:
        return open_envelope(text) is not None
    except DocumentRejected:
        return True


def unsigned(text: bytes) -> bytes:
    """Return a text without its signatures; one whose signatures cannot be read is returned as it is."""
    try:
        envelope = open_envelope(text)
    except DocumentRejected:
        return text
    return text if envelope is None else envelope.unsigned


def message_of(text: bytes, line: SignedLine) -> bytes:
    """Return the bytes to sign for a text without signatures."""
    body = text.removeprefix(_BOM).replace(b"\r\n", b"\n")
    if is_json(text):
        return _opened(body) + b"}\n" + line.text
    return body + (b"" if body.endswith(b"\n") else b"\n") + line.text


def write_envelope(text: bytes, line: SignedLine, signatures: Sequence[str]) -> bytes:
    """Return a text that has no signatures with these, each the base64 of an SSHSIG blob."""
    if not is_json(text):
        comments = (f"# {part}\n" for signature in signatures for part in _lines(signature))
        break_ = b"" if text.endswith(b"\n") else b"\n"
        return text + break_ + line.text + "".join(comments).encode()
    value: dict[str, Any] = {"sequence": line.sequence}
    if line.environment:
        value["environment"] = line.environment
    if line.follows:
        value["follows"] = line.follows
    value["ssh"] = ["".join(f"{part}\n" for part in _lines(signature)) for signature in signatures]
    opened = _opened(text)
    gap = b"\n" if b"\n" in opened else b""
    comma = b"" if opened.endswith(b"{") else b","
    indent = b"  " if gap else b""
    written = json.dumps(value, ensure_ascii=False).encode()
    return opened + comma + (gap or b" ") + indent + _MEMBER + b": " + written + gap + b"}\n"


def is_json(text: bytes) -> bool:
    """Return whether a text is a JSON object, where a comment has no place."""
    if text.removeprefix(_BOM).lstrip(_BLANKS)[:1] != b"{":
        return False
    try:
        json.loads(text.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return False
    return True


def base64_of(armored: str) -> str:
    """Return the base64 of an armored signature, as ssh-keygen writes it. Raises ValueError."""
    found = _ARMOR.fullmatch(armored)
    if found is None:
        raise ValueError("no SSH signature")
    return found[1].replace("\n", "")


def _commented(text: bytes, body: bytes, start: int) -> Envelope:
    """Return the envelope of a text with signatures in comments."""
    message, block = body[:start], body[start:]
    line_start = message.rfind(b"\n", 0, -1) + 1
    line = _LINE.fullmatch(message, line_start)
    if line is None:
        raise _refused(
            "the line before the first signature is not `# dc-sidecar-signed sequence=NUMBER`: sign the document again"
        )
    signatures = []
    position = 0
    while position < len(block):
        found = _SIGNATURE.match(block, position)
        if found is None:
            raise _refused(
                "found something else between or after the signatures, expected them last, as comments: move it before "
                "them and sign the document again"
            )
        signatures.append(re.sub(rb"[# \t\n]", b"", found[1]).decode())
        position = found.end()
    return Envelope(message, _line(line), _bounded(signatures), text[: text.rindex(_LINE_BEGIN)])


def _has_member(body: bytes) -> bool:
    """Return whether a text ends with the member, or is JSON that has it elsewhere: an application may be called so."""
    if _VALUE.fullmatch(body, body.rindex(_MEMBER)) is not None:
        return True
    try:
        return "signatures" in json.loads(body)
    except (ValueError, RecursionError):
        # The reader of the member reports its problem.
        return True


def _member(text: bytes, body: bytes) -> Envelope:
    """Return the envelope of a JSON text with signatures as its last member."""
    start = body.rindex(_MEMBER)
    found = _VALUE.fullmatch(body, start)
    if found is None:
        raise _refused("`signatures` is not the last member, or not an object: sign the document again")
    opened = body[:start].rstrip(_BLANKS)
    if opened.endswith(b","):
        opened = opened[:-1].rstrip(_BLANKS)
    elif opened != b"{":
        raise _refused("`signatures` does not follow another member of the document: sign the document again")
    value = _read_value(found[1])
    if value is None:
        raise _refused(
            'found another value than {"sequence": NUMBER, "environment": NAME, "follows": REVISION, "ssh": '
            "[SIGNATURES]}: sign the document again"
        )
    line, signatures = value
    signed = _line(line)
    cut = text[: text.rindex(_MEMBER)].rstrip(_BLANKS).removesuffix(b",").rstrip(_BLANKS)
    rest = cut + (b"\n}\n" if b"\n" in cut else b"}\n")
    return Envelope(opened + b"}\n" + signed.text, signed, _bounded(signatures), rest)


def _read_value(text: bytes) -> tuple[re.Match[bytes], list[str]] | None:
    """Return the value of the member: the line that it stands for, and the signatures; None for an invalid one."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
        number, *texts = value["sequence"], value.get("environment", ""), value.get("follows", "")
        line = _LINE.fullmatch(SignedLine(number, *texts).text)
        signatures = [base64_of(one) for one in value["ssh"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    known = value.keys() <= _MEMBERS and type(number) is int and all(isinstance(one, str) for one in texts)
    return (line, signatures) if known and line is not None else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a duplicate key")
    return found


def _line(found: re.Match[bytes]) -> SignedLine:
    number, environment, follows = int(found[1]), found[2], found[3]
    if number > MAX_SEQUENCE:
        raise _refused(f"found the sequence {number}, expected {MAX_SEQUENCE} at most: sign the document again")
    name = (environment or b"").decode(errors="replace")
    if name and not _ENVIRONMENT.fullmatch(name):
        raise _refused("the environment has other characters than letters, digits and ._-: sign the document again")
    return SignedLine(number, name, (follows or b"").decode())


def _bounded(signatures: Sequence[str]) -> tuple[str, ...]:
    if not 0 < len(signatures) <= MAX_SIGNATURES:
        raise _refused(f"found {len(signatures)} signatures, expected 1 to {MAX_SIGNATURES}: remove some")
    return tuple(signatures)


def _opened(text: bytes) -> bytes:
    """Return a JSON object without the brace that closes it, and the blanks before that."""
    return text.rstrip(_BLANKS)[:-1].rstrip(_BLANKS)


def _lines(signature: str) -> Sequence[str]:
    return [_BEGIN, *(signature[at : at + 70] for at in range(0, len(signature), 70)), _END]


def _refused(message: str) -> DocumentRejected:
    return DocumentRejected((Problem("signatures", message),))
