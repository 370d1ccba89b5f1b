"""`dc-sidecar sign`: sign a document in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sidecar.atomic_file import replace_file
from sidecar.cli.options.signing import Signing
from sidecar.cli.options.values import SIZE
from sidecar.cli.render import say
from sidecar.cli.signing import signed_text
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import parse_text
from sidecar.trust.envelope import MAX_SEQUENCE, SignedLine, open_envelope, sequence_now, unsigned

_EPILOG = """\b
Examples:
  dc-sidecar sign routing.yaml --sign ~/.ssh/id_ed25519
  dc-sidecar sign routing.yaml --sign ~/.ssh/id_ed25519.pub --environment prod
  dc-sidecar get --context prod | dc-sidecar sign - --sign KEY > signed.yaml

\b
By hand:
  echo "# dc-sidecar-signed sequence=$(date +%s000)" >> routing.yaml
  ssh-keygen -Y sign -n dc-sidecar -f ~/.ssh/id_ed25519 routing.yaml
  sed 's/^/# /' routing.yaml.sig >> routing.yaml"""


@click.command("sign", epilog=_EPILOG)
@click.argument("file", type=click.Path(allow_dash=True, dir_okay=False))
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path),
    required=True,
    metavar="KEY",
    envvar="DC_SIDECAR_SIGN",
    show_envvar=True,
    help="SSH key: a private key, or the public key of one that ssh-agent or a security key has.",
)
@click.option(
    "--environment",
    default="",
    metavar="NAME",
    envvar="DC_SIDECAR_ENVIRONMENT",
    show_envvar=True,
    help="The --environment of the sidecars that are to take the document.",
)
@click.option(
    "--sequence",
    type=click.IntRange(0, MAX_SEQUENCE),
    metavar="N",
    help="Number that is higher than that of the document before.  [default: the time in milliseconds]",
)
@click.option("--again", is_flag=True, help="Drop the signatures that are there, and sign with a new number.")
@click.option("--max-document-size", type=SIZE, default="1MiB", show_default=True, help="Maximum document size.")
def command(
    file: str, key: Path, environment: str, sequence: int | None, *, again: bool, max_document_size: int
) -> None:
    """Sign the document in FILE, in place; - signs standard input to standard output.

    Where it is signed already, your signature is added to the others. The
    signatures are comments at the end, in JSON the last member. ssh-keygen
    makes them (namespace dc-sidecar). The config center is not read or written.
    """
    path = Path(file)
    try:
        text = sys.stdin.buffer.read() if file == "-" else path.read_bytes()
    except OSError as error:
        raise ChangeRefused(f"{file} cannot be read: {error.strerror}") from error
    if again:
        text = unsigned(text)
    refusal = parse_text(text, max_bytes=max_document_size).refusal
    if refusal is not None:
        raise ChangeRefused(f"the document is not valid, it was not signed: {refusal}")
    line = SignedLine(sequence_now() if sequence is None else sequence, environment)
    signed = signed_text(text, Signing(key, environment), line)
    refusal = parse_text(signed, max_bytes=max_document_size).refusal
    if refusal is not None:
        raise ChangeRefused(f"the signed document would not be valid, nothing was written: {refusal}")
    if file == "-":
        sys.stdout.buffer.write(signed)
    else:
        mode = path.stat().st_mode & 0o777
        replace_file(path.parent, path.name, signed)
        path.chmod(mode)
    envelope = open_envelope(signed)
    assert envelope is not None
    count = len(envelope.signatures)
    say(f"Signed with sequence {envelope.line.sequence}: {count} signature{'' if count == 1 else 's'}.")
