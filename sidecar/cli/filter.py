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
    """Ask a running sidecar which workers may run a job of APP now."""
    result = client.filter(app, job=job, instance=instance, candidates=candidates, aliases=aliases)
    if output == "json":
        print_json({**asdict(result), "reason": result.reason.name})
        return
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
