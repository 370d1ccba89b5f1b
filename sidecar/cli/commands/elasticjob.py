"""`dc-sidecar elasticjob`: reshard ElasticJob's jobs after a switch or an outage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidecar.cli.options.flags import SidecarCommand, output_option, secret
from sidecar.cli.render import agreed, print_json, print_lines, print_table, say
from sidecar.cli.sidecars import open_client
from sidecar.client import RoutingClient, Worker
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from sidecar.elasticjob.resharding import ReshardStep

_DIGEST = "DC_SIDECAR_ELASTICJOB_DIGEST"
_SHOWN = 20


@click.group("elasticjob")
def command() -> None:
    """Reshard ElasticJob's jobs after an outage or a switch."""


_RESHARD = """\b
Examples:
  dc-sidecar elasticjob reshard --dry-run \\
    --registry zookeeper://zk1:2181,zk2:2181/billing
  dc-sidecar elasticjob reshard --registry zookeeper://zk1:2181/billing \\
    --job settle --yes --sidecar 10.1.0.5:50051"""


@command.command("reshard", cls=SidecarCommand, epilog=_RESHARD)
@click.option(
    "--registry",
    required=True,
    metavar="URL",
    envvar="DC_SIDECAR_ELASTICJOB_REGISTRY",
    show_envvar=True,
    help="The registry center, zookeeper://HOSTS/NAMESPACE.",
)
@click.option("--app", default="", help="The application in the document.  [default: the namespace]")
@click.option("--job", "jobs", multiple=True, metavar="JOB", help="Name of a job. Repeatable.  [default: all]")
@click.option(
    "--digest-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="DC_SIDECAR_ELASTICJOB_DIGEST_FILE",
    show_envvar=True,
    help=f"File with USER:PASSWORD for ZooKeeper; or set {_DIGEST}.",
)
@click.option("--running", is_flag=True, help="Do not wait for running misplaced shards; they may run twice.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=20, show_default=True, help="Jobs per second.")
@click.option("--dry-run", is_flag=True, help="Show the misplaced shards, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Reshard without asking.")
@output_option
@click.pass_context
def reshard(
    ctx: click.Context,
    /,
    *,
    registry: str,
    app: str,
    jobs: tuple[str, ...],
    digest_file: Path | None,
    running: bool,
    rate: float,
    dry_run: bool,
    yes: bool,
    output: str,
    **_: Any,  # noqa: ANN401 - the options of the connection
) -> int:
    """Reshard the jobs whose shards are not where they should be.

    The sidecar is asked where each shard would go now. A job with a shard
    elsewhere is marked, and ElasticJob reshards it at its next trigger, once
    its running shards have ended. Jobs with another sharding strategy than
    DC_SIDECAR are left alone. The command can be repeated: once the shards are
    where they should be, it finds nothing.

    With --running ElasticJob does not wait for misplaced shards that run. They
    go on until they end, and may run a second time elsewhere meanwhile: use it
    only for jobs that tolerate that.
    """
    try:
        from sidecar.elasticjob.registry import open_registry, read_namespace
        from sidecar.elasticjob.resharding import execute, find_step
    except ImportError as error:
        raise ConfigError(f"{error}: install dc-sidecar[zookeeper]") from error
    try:
        namespace = read_namespace(registry)
    except ConfigError as error:
        raise ConfigError(f"--registry: {error}") from error
    requested = 0
    with (
        open_client(ctx) as client,
        open_registry(
            namespace, digest=secret(digest_file, "--digest-file", _DIGEST), timeout=ctx.params["timeout"]
        ) as center,
    ):
        found = (center.job(name) for name in jobs or center.jobs())
        choose = partial(_choose, client, app or namespace.name)
        steps = [step for job in found if job is not None if (step := find_step(job, choose)) is not None]
        if output == "text":
            _show(steps)
        if (
            steps
            and not dry_run
            and agreed("reshard", "job", len(steps), yes=yes, quiet=output == "json", declined="Nothing was changed.")
        ):
            for step in steps:
                if requested:
                    time.sleep(1 / rate)
                execute(center, step, running=running)
                requested += 1
    if output == "json":
        print_json({"app": app or namespace.name, "dry_run": dry_run, "jobs": list(map(_plain, steps))})
    elif not steps:
        say("Nothing to do.")
    elif dry_run:
        say("Dry run: nothing was changed.")
    elif requested:
        print_lines([f"{requested:,} job{'' if requested == 1 else 's'} will be resharded at the next trigger"])
    return 0


def _choose(
    client: RoutingClient, app: str, job: str, shard: str, workers: Sequence[Worker]
) -> tuple[frozenset[str], str]:
    answer = client.filter(app, job=job, instance=shard, candidates=workers)
    return frozenset(answer.addresses), answer.datacenter


def _show(steps: Sequence[ReshardStep]) -> None:
    print_table(("JOB", "SHARDS", "ELSEWHERE", "TO", "RUNNING", "STATE"), steps, _row, _SHOWN)


def _row(step: ReshardStep) -> Sequence[str]:
    return (
        step.job.name,
        f"{len(step.job.shards):,}",
        f"{len(step.shards):,}",
        ", ".join(f"{name or 'nobody'} {count:,}" for name, count in step.targets.items()),
        f"{len(step.blocking):,}",
        "requested already" if step.job.pending else "-",
    )


def _plain(step: ReshardStep) -> dict[str, Any]:
    shards = [{"item": shard.item, "on": shard.address, "to": shard.datacenter} for shard in step.shards]
    return {"job": step.job.name, "pending": step.job.pending, "running": list(step.blocking), "shards": shards}
