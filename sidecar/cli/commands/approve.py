"""`dc-sidecar approve`: sign a proposal as the next operator, and publish it."""

from __future__ import annotations

import click

from sidecar.cli.change import run_change
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.render import say
from sidecar.cli.signing import proposal_source
from sidecar.editing.draft import CurrentDocument, Edit, MetaPolicy
from sidecar.errors import ChangeRefused, DocumentRejected
from sidecar.routing.parsed_text import ParsedText, parse_text
from sidecar.sources.base import Missing
from sidecar.trust.envelope import Envelope, open_envelope
from sidecar.trust.ssh_keygen import fits
from sidecar.trust.sshsig import read_signature

_EPILOG = """\b
Examples:
  dc-sidecar approve --dry-run --context prod
  dc-sidecar approve --sign ~/.ssh/id_ed25519 --context prod
  dc-sidecar approve --sign KEY --expect 3a7f09c21b44 --yes --context prod"""


@click.command("approve", cls=ChangeCommand, epilog=_EPILOG)
@click.option("--expect", metavar="REVISION", help="Approve only this revision of the proposal.")
@click.pass_context
def command(ctx: click.Context, /, expect: str | None, **_: object) -> int:
    """Show the proposal, sign it, and write it to the key.

    Refused if the document has changed since the proposal was signed. Without
    --sign it is published with the signatures that it has. With --propose it
    is stored again with yours added, for a third operator.
    """
    options = change_options(ctx)
    source = proposal_source(options)
    found = source.read(options.timeout)
    if isinstance(found, Missing):
        raise ChangeRefused(f"found no proposal at {source.url}: make one with --sign KEY --propose")
    proposed = parse_text(found.text, max_bytes=options.max_bytes)
    if expect is not None and proposed.revision != expect:
        raise ChangeRefused(f"found revision {proposed.revision} at {source.url}, expected {expect}")
    envelope = _envelope(found.text)
    keys = [signature.fingerprint for one in envelope.signatures if (signature := read_signature(one))]
    say(f"Proposed as revision {proposed.revision}, signed by {', '.join(keys)}.")

    def make(current: CurrentDocument, _: int) -> ParsedText:
        known = current.text and open_envelope(current.text)
        if known and known.message == envelope.message and not options.propose:
            if len(known.signatures) > len(envelope.signatures):
                raise ChangeRefused("the proposal is in force already: there is nothing to approve")
        elif envelope.line.follows and envelope.line.follows != current.revision:
            raise ChangeRefused(
                f"the proposal was made for revision {envelope.line.follows}, and the key holds "
                f"{current.revision or 'nothing'} now: propose it again"
            )
        return proposed

    return run_change(options, Edit(make=make, meta=MetaPolicy.NEVER))


def _envelope(text: bytes) -> Envelope:
    try:
        envelope = open_envelope(text)
    except DocumentRejected as error:
        raise ChangeRefused(f"the proposal's signatures cannot be read: {error}") from error
    if envelope is None or not all(fits(envelope.message, one) for one in envelope.signatures):
        raise ChangeRefused("the proposal was changed after it was signed: do not approve it, have it proposed again")
    return envelope
