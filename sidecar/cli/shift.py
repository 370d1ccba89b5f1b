"""`dc-sidecar shift`: an application's jobs shared out by weight."""

from __future__ import annotations

import click

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, orders_of
from sidecar.cli.subject import DEFAULT, subject_of
from sidecar.editing import verbs
from sidecar.editing.proposal import Edit
from sidecar.routing.scalars import parse_number

_EPILOG = """\b
Examples:
  dc-sidecar shift billing dc1=80 dc2=20 --source file:routing.yaml
  dc-sidecar shift --default dc1=1 dc2=1 --config sidecar.yaml --dry-run"""


@click.command("shift", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("words", nargs=-1, required=True, metavar="[APP] DC=WEIGHT...")
@DEFAULT
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], *, default: bool, **_: object) -> int:
    """Share the jobs of APP out by weights.

    Weights need not add up to 100. Each job keeps its datacenter unless the
    weights make it move.
    """
    app, rest = subject_of(ctx, words, default=default)
    weights: dict[str, str] = {}
    for word in rest:
        name, equals, weight = word.partition("=")
        number = parse_number(weight)
        if not equals or number is None or number < 0:
            raise click.UsageError(f"found {word!r}, expected a datacenter and its weight, such as dc2=20", ctx)
        if name in weights:
            raise click.UsageError(f"found {name} a second time, expected each datacenter once", ctx)
        weights[name] = weight
    if not weights:
        raise click.UsageError("which weights? Name each datacenter with its own, such as dc1=80 dc2=20", ctx)
    edit = Edit(
        make=lambda opened, _: verbs.shift(opened.valid()[0], app, weights),
        moves_work=True,
        apps=() if app is None else (app,),
    )
    return carry_out(orders_of(ctx), edit)
