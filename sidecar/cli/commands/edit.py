"""`dc-sidecar edit`: edit the document in an editor, and check it before it is written."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.render import say
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import ParsedText, parse_text

if TYPE_CHECKING:
    from sidecar.editing.draft import CurrentDocument

_EPILOG = """\b
Examples:
  dc-sidecar edit --source file:routing.yaml
  EDITOR="code --wait" dc-sidecar edit --config sidecar.yaml --reason tidied"""


@click.command("edit", short_help="Edit the document in $EDITOR, and write it.", cls=ChangeCommand, epilog=_EPILOG)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:  # noqa: ANN401 - the options of all changes
    """Open the document in $VISUAL or $EDITOR, and write what you save.

    If the text is not valid, the editor opens again after all its problems are
    listed. `meta` is updated unless you edited it. A text that was not written
    is kept in a file.
    """
    from sidecar.cli.change import make_change
    from sidecar.editing.draft import Edit, MetaPolicy

    options = change_options(ctx)
    # One folder for all attempts: on top of another operator's change there is a second text, and the first is kept.
    folder = Path(tempfile.mkdtemp(prefix="dc-sidecar-edit-"))
    opened: dict[Path, bytes] = {}

    def make(current: CurrentDocument, _: int) -> ParsedText:
        text = current.body or b""
        suffix = ".json" if text.lstrip()[:1] == b"{" else ".yaml"
        path = folder / f"routing-{len(opened) + 1}{suffix}"
        path.write_bytes(text)
        opened[path] = text
        return _edited(path, options.max_bytes)

    written = False
    try:
        outcome = make_change(options, Edit(make=make, meta=MetaPolicy.UNLESS_EDITED))
        written = outcome.written
        return outcome.exit_code
    finally:
        kept = [str(path) for path, text in opened.items() if not written and path.read_bytes() != text]
        if kept:
            say(f"Your text is kept: {', '.join(kept)}")
        else:
            shutil.rmtree(folder)


def _edited(path: Path, max_bytes: int) -> ParsedText:
    """Run the editor on a file until it holds a valid document."""
    while True:
        _run_editor(path)
        parsed = parse_text(path.read_bytes(), max_bytes=max_bytes)
        if parsed.refusal is None:
            return parsed
        say(f"The document is not valid:\n{parsed.refusal}")
        if not sys.stdin.isatty() or not click.confirm("Edit again?", default=True, err=True):
            raise ChangeRefused("the document is not valid, nothing was written: run `dc-sidecar edit` again")


def _run_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except (OSError, ValueError) as error:
        raise ChangeRefused(f"the editor {editor!r} cannot be started ({error}): set $EDITOR") from error
    if done.returncode:
        raise ChangeRefused(f"the editor {editor!r} exited with {done.returncode}: nothing was written")
