"""`dc-sidecar filter`: what a running sidecar decides."""

from __future__ import annotations

from dataclasses import asdict

import click

from sidecar.cli.connection import with_client
from sidecar.cli.inputs import CANDIDATES_HELP, CandidatesParam
from sidecar.cli.output import dim, output_option, print_json, say
from sidecar.client import RoutingClient, Worker

_SHOWN = 20

_EPILOG = """\b
Examples:
  dc-sidecar filter billing --job 7 --candidates dc1=2,dc2=1
  dc-sidecar filter billing --candidates workers.json --sidecar 10.1.0.5:50051"""


@click.command("filter", epilog=_EPILOG)
@click.argument("app")
@click.option("--job", default="", metavar="ID", help="The job's id.")
@click.option("--instance", default="", metavar="ID", help="The id of this run of the job.")
@click.option("--alias", "aliases", multiple=True, metavar="APP", help="Another name of the application; repeatable.")
@click.option("--candidates", type=CandidatesParam(), required=True, help=CANDIDATES_HELP)
@output_option
@with_client
def command(
    *,
    client: RoutingClient,
    app: str,
    job: str,
    instance: str,
    aliases: tuple[str, ...],
    candidates: tuple[Worker, ...],
    output: str,
) -> None:
    """Ask a running sidecar which workers may run a job of APP now.

    APP is any name that the scheduler has for the application: the sidecar
    is asked by the names of the scheduler's latest request, so the answer is
    the scheduler's. With --alias it is asked by exactly the names given.
    """
    names = (app, *aliases)
    if not aliases:
        names = client.route(app).dispatch_names or names
    result = client.filter(names[0], job=job, instance=instance, candidates=candidates, aliases=names[1:])
    if output == "json":
        print_json({**asdict(result), "reason": result.reason.name, "app": names[0], "aliases": names[1:]})
        return
    if names != (app, *aliases):
        also = f", alias {', '.join(names[1:])}" if names[1:] else ""
        say(f"Asked as the scheduler asks: application {names[0]}{also}")
    if result.stale:
        say("Warning: the config center cannot be reached; the last good document decided")
    datacenter = f"{result.datacenter}  " if result.datacenter else ""
    click.echo(
        click.style(f"{datacenter}{result.reason.name}", bold=True)
        + f"  {len(result.indices)} of {len(candidates)} candidates  "
        + dim(f"revision {result.revision}, generation {result.generation}")
    )
    for address in result.addresses[:_SHOWN]:
        click.echo(f"  {address}")
    if len(result.addresses) > _SHOWN:
        click.echo(f"  and {len(result.addresses) - _SHOWN} more (-o json has them all)")
