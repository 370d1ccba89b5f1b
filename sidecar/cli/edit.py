"""`dc-sidecar edit`: the document in the operator's editor, checked before it is written."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.cli.output import say
from sidecar.editing.proposal import CurrentDocument, Edit, read_current
from sidecar.errors import ChangeRefused

_EPILOG = """\b
Examples:
  dc-sidecar edit --source file:routing.yaml
  EDITOR="code --wait" dc-sidecar edit --config sidecar.yaml --reason tidied"""


@click.command("edit", cls=ChangingCommand, epilog=_EPILOG)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:  # noqa: ANN401 - what all changes have
    """Open the document in $VISUAL or $EDITOR, and write what is saved.

    What is no valid document comes back to the editor, with all that is wrong
    with it. Who and when is written to `meta` unless you changed that yourself.
    A text that is not written is kept.
    """
    orders = orders_of(ctx)
    # One folder for all tries: on top of what somebody else wrote there is a second text, and the first is not lost.
    folder = Path(tempfile.mkdtemp(prefix="dc-sidecar-edit-"))
    code = None
    try:
        code = carry_out(orders, Edit(make=lambda opened, _: _edited(folder, opened, orders.max_bytes), stamp=None))
        return code
    finally:
        kept = sorted(folder.iterdir())
        if code == 0:
            for path in kept:
                path.unlink()
            folder.rmdir()
        elif kept:
            say(f"Your text is kept: {', '.join(map(str, kept))}")


def _edited(folder: Path, opened: CurrentDocument, max_bytes: int) -> bytes:
    text = opened.text or b""
    suffix = ".json" if text.lstrip()[:1] == b"{" else ".yaml"
    path = folder / f"routing-{len(list(folder.iterdir())) + 1}{suffix}"
    path.write_bytes(text)
    while True:
        _run_editor(path)
        saved = path.read_bytes()
        found = read_current(saved, max_bytes=max_bytes)
        if found.refusal is None:
            return saved
        say(f"This is no valid document:\n{found.refusal}")
        if not sys.stdin.isatty() or not click.confirm("Go on editing?", default=True, err=True):
            raise ChangeRefused("nothing is written, as the text is no valid document")


def _run_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except (OSError, ValueError) as error:
        raise ChangeRefused(f"the editor {editor!r} cannot be started ({error}): set $EDITOR") from error
    if done.returncode:
        raise ChangeRefused(f"the editor {editor!r} ended with {done.returncode}: nothing is written")
