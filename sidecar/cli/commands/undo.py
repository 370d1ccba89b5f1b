"""`dc-sidecar undo`: take the last change back."""

from __future__ import annotations

from typing import Any

import click

from sidecar.cli.commands.rollback import restore
from sidecar.cli.options.change import ChangeCommand, change_options

_EPILOG = """\b
Examples:
  dc-sidecar undo --config sidecar.yaml
  dc-sidecar undo --context prod --reason "errors in dc2" """


@click.command("undo", short_help="Undo the last change of the document.", cls=ChangeCommand, epilog=_EPILOG)
@click.option(
    "--state-dir", "flag_state_dir", metavar="PATH", help="State directory of a sidecar that follows the key."
)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:  # noqa: ANN401 - the options of all changes
    """Restore the document from before the last change.

    The same as `rollback` without a revision, also for another author's change.
    A second `undo` redoes the change. `--hold-off` does not apply.
    """
    return restore(change_options(ctx), None)
