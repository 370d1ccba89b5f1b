"""`dc-sidecar powerjob`: PowerJob's work that an outage or a switch left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from sidecar.cli.connection import with_client
from sidecar.cli.moments import SINCE
from sidecar.cli.output import columns, output_option, print_json, say
from sidecar.client import RoutingClient
from sidecar.errors import ConfigError
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleStep, WorkFinder
from sidecar.powerjob.http import PowerJobServers, PowerJobUnavailable
from sidecar.powerjob.model import PowerJobWorker, Running
from sidecar.powerjob.mover import RescheduleOutcome, execute, summary

_PASSWORD = "DC_SIDECAR_POWERJOB_PASSWORD"  # noqa: S105 - the variable's name
_SHOWN = 20
_NOT_ALL = 5


@click.group("powerjob")
def command() -> None:
    """Bring back PowerJob's work after an outage or a switch."""


_RETRY = """\b
Examples:
  dc-sidecar powerjob retry billing --server http://powerjob:7700 --since 30m \\
    --password-file /run/secrets/billing --dry-run
  dc-sidecar powerjob retry billing --server http://powerjob:7700 \\
    --since 2026-11-22T10:00:00Z --running --sidecar 10.1.0.5:50051"""


@command.command("retry", epilog=_RETRY)
@click.argument("app")
@click.option("--since", type=SINCE, required=True, metavar="TIME", help="When the outage began, or how long ago.")
@click.option(
    "--server",
    "servers",
    multiple=True,
    required=True,
    metavar="URL",
    envvar="DC_SIDECAR_POWERJOB_SERVER",
    show_envvar=True,
    help="A server of PowerJob; repeatable: the first that answers.",
)
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="DC_SIDECAR_POWERJOB_PASSWORD_FILE",
    show_envvar=True,
    help=f"Holds the application's password; or set {_PASSWORD}.",
)
@click.option("--running", is_flag=True, help="Also stop and retry what runs where it would not run now.")
@click.option("--frequent", is_flag=True, help="Of what runs, stop only fixed-rate and fixed-delay jobs.")
@click.option("--map-reduce", is_flag=True, help="With --running, MapReduce jobs too, from their beginning.")
@click.option("--lost/--no-lost", default=True, show_default=True, help="Also what had begun on workers now silent.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=10, show_default=True, help="Runs a second.")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option
@with_client
def retry(
    *,
    client: RoutingClient,
    app: str,
    since: int,
    servers: tuple[str, ...],
    password_file: Path | None,
    running: bool,
    frequent: bool,
    map_reduce: bool,
    lost: bool,
    rate: float,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Retry what failed in APP for want of workers.

    APP is an application of PowerJob by its name; where PowerJob's OpenAPI
    asks for no password, its number will do too. What has run since is left
    alone, so it may be said twice.

    With --running or --frequent a running sidecar is asked where each run
    would go now. A stopped instance may have done its work already, or continue
    for a while if its worker does not receive the stop: use --running for jobs
    that may run twice. PowerJob starts fixed-rate and fixed-delay jobs again by
    itself. The mark dc-sidecar:stay in a job's tag exempts it.
    """
    application = PowerJobApp(PowerJobServers(servers, timeout=5.0), app, _password(password_file))
    scope = Running.ALL if running else Running.FREQUENT if frequent else Running.NONE
    choose = None if scope is Running.NONE else partial(_choose, client)
    finder = WorkFinder(application, lost=lost, choose=choose, running=scope, map_reduce=map_reduce)
    steps = [*finder.failed(since // 10**6), *finder.running()]
    todo = [step for step in steps if step.action.moves]
    if output == "text":
        _show(steps)
    outcomes: list[RescheduleOutcome] = []
    if todo and not dry_run and _agreed(len(todo), yes=yes, quiet=output == "json"):
        outcomes = _move(application, todo, rate)
    if output == "json":
        print_json({"app": app, "found": list(map(_plain, steps)), "outcomes": list(map(_told, outcomes))})
    elif not todo:
        say("Nothing to do.")
    elif dry_run:
        say("Dry run: nothing is moved.")
    elif outcomes:
        click.echo(summary(outcomes))
    return _NOT_ALL if any(not outcome.done for outcome in outcomes) else 0


def _password(file: Path | None) -> str:
    if file is None:
        return os.environ.get(_PASSWORD, "")
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--password-file: {file} cannot be read: {error}") from error
    if not password:
        raise ConfigError(f"--password-file: {file} is empty, expected the application's password")
    return password


def _choose(
    client: RoutingClient, names: tuple[str, ...], job: str, instance: str, workers: Sequence[PowerJobWorker]
) -> Collection[str]:
    # As the adapter asked last, which may have been set to another order.
    names = client.route(names[0]).dispatch_names or names
    return client.filter(names[0], job=job, instance=instance, candidates=workers, aliases=names[1:]).addresses


def _show(steps: Sequence[RescheduleStep]) -> None:
    if not steps:
        return
    rows = [("RUN", "JOB", "LAST ON", "TO DO", "WHY")]
    rows += [
        (
            str(step.instance),
            f"{step.job} {step.job_name}".strip(),
            step.worker or "-",
            step.action.value if step.workflow is None else f"{step.action.value} ({step.workflow})",
            step.why,
        )
        for step in steps[:_SHOWN]
    ]
    click.echo("\n".join(columns(rows)))
    if len(steps) > _SHOWN:
        click.echo(f"and {len(steps) - _SHOWN:,} more (-o json has them all)")


def _agreed(count: int, *, yes: bool, quiet: bool) -> bool:
    """Tell whether it is to be done. Raises UsageError where nobody can be asked."""
    if yes:
        return True
    if quiet or not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask: say --yes to do it, --dry-run to look only")
    if click.confirm(f"Move {count:,}?", err=True):
        return True
    say("Nothing is moved.")
    return False


def _move(app: PowerJobApp, steps: Sequence[RescheduleStep], rate: float) -> list[RescheduleOutcome]:
    outcomes: list[RescheduleOutcome] = []
    for step in steps:
        if outcomes:
            time.sleep(1 / rate)
        try:
            outcomes.append(execute(app, step))
        except PowerJobUnavailable:
            say(f"PowerJob went away at {step}; before that: {summary(outcomes)}. Say the same again to go on.")
            raise
        if not outcomes[-1].done:
            say(str(outcomes[-1]))
    return outcomes


def _plain(step: RescheduleStep) -> dict[str, Any]:
    return {**asdict(step), "action": step.action.value}


def _told(outcome: RescheduleOutcome) -> dict[str, Any]:
    return {"instance": outcome.step.instance, "done": outcome.done, "words": outcome.words}
