"""`dc-sidecar drain`: take single workers out of service."""

from __future__ import annotations

import click

from sidecar.cli.options.change import ChangeCommand, change_options

_EPILOG = """\b
Examples:
  dc-sidecar drain "10.1.0.7:*" --config sidecar.yaml --reason "disk fails"
  dc-sidecar drain "10.1.0.7:*" --undo --config sidecar.yaml"""


@click.command("drain", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("worker")
@click.option("--undo", is_flag=True, help="Put the workers back into service.")
@click.pass_context
def command(ctx: click.Context, /, worker: str, *, undo: bool, **_: object) -> int:
    """Drain WORKER: it gets no new work and counts as absent.

    WORKER is an address, a network such as 10.1.0.0/28, or a pattern with one *
    at its start or end. Jobs that run there finish. --reason is kept in the
    entry, too. --undo removes exactly this entry.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    options = change_options(ctx)
    # Not `moves_work`: several workers may be drained in a row, without the hold-off between two switches.
    edit = Edit(make=lambda current, _: operations.drain(*current.valid(), worker, undo=undo, reason=options.reason))
    return run_change(options, edit)
