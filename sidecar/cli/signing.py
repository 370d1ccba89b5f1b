"""Signs documents for the commands that write, and finds the key that holds a proposal."""

from __future__ import annotations

from dataclasses import replace

from sidecar.cli.options.change import ChangeOptions
from sidecar.cli.options.signing import Signing
from sidecar.editing.draft import Draft
from sidecar.errors import ChangeRefused, DocumentRejected
from sidecar.routing.parsed_text import parse_text
from sidecar.sources import open_source
from sidecar.sources.base import Source
from sidecar.status_key import url_beside
from sidecar.trust.envelope import SignedLine, message_of, open_envelope, sequence_now, write_envelope
from sidecar.trust.ssh_keygen import fits, sign
from sidecar.trust.sshsig import read_signature

PROPOSED = ".proposed"
# A sequence further ahead is nobody's clock: sidecars refuse it.
_AHEAD_MS = 24 * 3600 * 1000


def proposal_source(options: ChangeOptions) -> Source:
    """Return the key beside the document's that holds a proposal. Raises ConfigError."""
    return open_source(url_beside(options.source.url, PROPOSED), options.source_options)


def signed(draft: Draft, signing: Signing, max_bytes: int) -> Draft:
    """Return a draft with its new text signed: newly, or beside the signatures that it has. Raises ChangeRefused."""
    current = draft.current
    line = next_line(current.text, signing.environment, current.revision)
    new = parse_text(signed_text(draft.new.text, signing, line), max_bytes=max_bytes)
    if new.document is None:
        raise ChangeRefused(f"the signed document would not be valid, nothing was written: {new.refusal}")
    return replace(draft, new=new)


def next_line(current: bytes | None, environment: str, revision: str = "") -> SignedLine:
    """Return the line to sign with a document that follows the current text of the key."""
    sequence = sequence_now()
    try:
        known = open_envelope(current) if current is not None else None
    except DocumentRejected:
        known = None
    if known is not None and known.line.sequence < sequence + _AHEAD_MS:
        sequence = max(sequence, known.line.sequence + 1)
    return SignedLine(sequence, environment, revision)


def signed_text(text: bytes, signing: Signing, line: SignedLine) -> bytes:
    """Return a text with a signature more; signatures that do not fit it any more are replaced. Raises ChangeRefused.

    `line` is signed with a text that has no signatures yet.
    """
    try:
        envelope = open_envelope(text)
    except DocumentRejected as error:
        raise ChangeRefused(f"the signatures in this document cannot be read: {error}") from error
    if envelope is None:
        return write_envelope(text, line, [sign(message_of(text, line), signing.key)])
    kept = [one for one in envelope.signatures if fits(envelope.message, one)]
    if not kept:
        # It was edited after it was signed.
        message = message_of(envelope.unsigned, line)
        return write_envelope(envelope.unsigned, line, [sign(message, signing.key)])
    added = sign(envelope.message, signing.key)
    return write_envelope(envelope.unsigned, envelope.line, [*(one for one in kept if not _same(one, added)), added])


def _same(one: str, other: str) -> bool:
    """Return whether two signatures are by the same key."""
    first, second = read_signature(one), read_signature(other)
    return first is not None and second is not None and first.key == second.key
