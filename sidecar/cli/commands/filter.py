"""`dc-sidecar filter`: ask a running sidecar for a decision."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from sidecar.cli.options import complete
from sidecar.cli.options.flags import SidecarCommand, output_option
from sidecar.cli.options.values import CANDIDATES_HELP, CandidatesParam
from sidecar.cli.render import Style, dim, print_json, print_lines, say, styled
from sidecar.cli.sidecars import open_client
from sidecar.client import Worker

_SHOWN = 20

_EPILOG = """\b
Examples:
  dc-sidecar filter billing --job 7 --candidates dc1=2,dc2=1
  dc-sidecar filter billing --candidates workers.json --sidecar 10.1.0.5:50051"""


@click.command("filter", cls=SidecarCommand, epilog=_EPILOG)
@click.argument("app", shell_complete=complete.apps)
@click.option("--job", default="", metavar="ID", help="The job's id.")
@click.option("--instance", default="", metavar="ID", help="The id of this run of the job.")
@click.option("--alias", "aliases", multiple=True, metavar="APP", help="Another name of the application. Repeatable.")
@click.option("--candidates", type=CandidatesParam(), required=True, help=CANDIDATES_HELP)
@output_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    app: str,
    job: str,
    instance: str,
    aliases: tuple[str, ...],
    candidates: tuple[Worker, ...],
    output: str,
    **_: Any,  # noqa: ANN401 - the options of the connection
) -> None:
    """Ask a running sidecar which workers may run a job of APP now.

    APP is any name that the scheduler has for the application: the sidecar
    is asked by the names of the scheduler's latest request, so the answer is
    the scheduler's. With --alias it is asked by exactly the names given.
    """
    names = (app, *aliases)
    with open_client(ctx) as client:
        if not aliases:
            names = client.route(app).dispatch_names or names
        by_default = not any(client.route(name).app for name in names)
        # A question: without `dispatch` it says nothing about the live workers.
        result = client.filter(names[0], job=job, instance=instance, candidates=candidates, aliases=names[1:])
    if output == "json":
        plain = {**asdict(result), "reason": result.reason.name, "app": names[0], "aliases": names[1:]}
        print_json({**plain, "by_default_route": by_default})
        return
    if names != (app, *aliases):
        also = f", alias {', '.join(names[1:])}" if names[1:] else ""
        say(f"Asked as the scheduler asks: application {names[0]}{also}")
    if by_default:
        say(f"By the default route: the document does not name {' or '.join(names)}")
    if result.stale:
        say("Warning: the config center is unreachable; the last good document decided")
    datacenter = f"{result.datacenter}  " if result.datacenter else ""
    answer = styled(f"{datacenter}{result.reason.name}", Style.BOLD)
    about = dim(f"revision {result.revision}, generation {result.generation}")
    lines = [f"{answer}  {len(result.indices)} of {len(candidates)} candidates  {about}"]
    lines += [f"  {address}" for address in result.addresses[:_SHOWN]]
    if len(result.addresses) > _SHOWN:
        lines.append(f"  and {len(result.addresses) - _SHOWN:,} more (all with -o json)")
    print_lines(lines)
