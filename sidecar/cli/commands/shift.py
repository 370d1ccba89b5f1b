"""`dc-sidecar shift`: split the jobs of an application by weight."""

from __future__ import annotations

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, change_options
from sidecar.cli.options.flags import default_option, new_option, subject_of
from sidecar.routing.scalars import parse_number

_EPILOG = """\b
Examples:
  dc-sidecar shift billing dc1=80 dc2=20 --source file:routing.yaml
  dc-sidecar shift --default dc1=1 dc2=1 --config sidecar.yaml --dry-run"""


@click.command("shift", cls=ChangeCommand, epilog=_EPILOG)
@click.argument(
    "words", nargs=-1, required=True, metavar="[APP] DC=WEIGHT...", shell_complete=complete.apps_and_weights
)
@default_option
@new_option
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], *, default: bool, **_: object) -> int:
    """Split the jobs of APP between datacenters by weight.

    Weights need not add up to 100. Only as many jobs move as the new weights
    require.
    """
    from sidecar.cli.change import run_change
    from sidecar.editing import operations
    from sidecar.editing.draft import Edit

    app, rest = subject_of(ctx, words, default=default)
    weights = _weights(ctx, rest)
    edit = Edit(
        make=lambda current, _: operations.shift(current.valid()[0], app, weights),
        moves_work=True,
        apps=() if app is None else (app,),
    )
    return run_change(change_options(ctx), edit)


def _weights(ctx: click.Context, words: tuple[str, ...]) -> dict[str, str]:
    weights: dict[str, str] = {}
    for word in words:
        name, equals, weight = word.partition("=")
        number = parse_number(weight)
        if not equals or number is None or number < 0:
            raise click.UsageError(f"found {word!r}, expected a datacenter and its weight, such as dc2=20", ctx)
        if name in weights:
            raise click.UsageError(f"found {name} a second time, expected each datacenter once", ctx)
        weights[name] = weight
    if not weights:
        raise click.UsageError("which weights? Give one to each datacenter, such as dc1=80 dc2=20", ctx)
    return weights
