"""`dc-sidecar powerjob`: retry PowerJob's work after an outage or a switch."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from sidecar.cli.options.flags import SidecarCommand, output_option, secret
from sidecar.cli.options.values import SINCE
from sidecar.cli.render import agreed, print_json, print_lines, print_table, say
from sidecar.cli.sidecars import open_client
from sidecar.client import RoutingClient
from sidecar.errors import PowerJobUnavailable
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleStep, WorkFinder
from sidecar.powerjob.http import PowerJobServers
from sidecar.powerjob.model import PowerJobWorker, Running
from sidecar.powerjob.mover import RescheduleOutcome, execute, summary

_PASSWORD = "DC_SIDECAR_POWERJOB_PASSWORD"  # noqa: S105 - the variable's name
_SHOWN = 20
# The exit code where some runs were not moved.
_NOT_ALL = 5


@click.group("powerjob")
def command() -> None:
    """Retry PowerJob's work after an outage or a switch."""


_RETRY = """\b
Examples:
  dc-sidecar powerjob retry billing --since 30m --dry-run \\
    --server http://powerjob:7700 --password-file /run/secrets/billing
  dc-sidecar powerjob retry billing --since 2026-11-22T10:00:00Z \\
    --server http://powerjob:7700 --running --sidecar 10.1.0.5:50051"""


@command.command("retry", cls=SidecarCommand, epilog=_RETRY)
@click.argument("app")
@click.option(
    "--since", type=SINCE, required=True, metavar="TIME", help="Start of the outage: a time, or how long ago."
)
@click.option(
    "--server",
    "servers",
    multiple=True,
    required=True,
    metavar="URL",
    envvar="DC_SIDECAR_POWERJOB_SERVER",
    show_envvar=True,
    help="A PowerJob server; the first that answers is used. Repeatable.",
)
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="DC_SIDECAR_POWERJOB_PASSWORD_FILE",
    show_envvar=True,
    help=f"File with the application's password; or set {_PASSWORD}.",
)
@click.option("--running", is_flag=True, help="Also stop and retry runs that the sidecar would send elsewhere now.")
@click.option("--frequent", is_flag=True, help="Of the running ones, move fixed-rate and fixed-delay jobs only.")
@click.option("--map-reduce", is_flag=True, help="With --running, move MapReduce jobs too, from their beginning.")
@click.option("--lost/--no-lost", default=True, show_default=True, help="Also retry runs on workers that fell silent.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=10, show_default=True, help="Runs per second.")
@click.option("--dry-run", is_flag=True, help="Show the runs to move, and move none.")
@click.option("-y", "--yes", is_flag=True, help="Move without asking.")
@output_option
@click.pass_context
def retry(
    ctx: click.Context,
    /,
    *,
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
    **_: Any,  # noqa: ANN401 - the options of the connection
) -> int:
    """Retry the runs of APP that failed for want of workers.

    APP is the name of a PowerJob application, or its number if PowerJob's
    OpenAPI needs no password. Runs that have been retried since are left
    alone, so the command can be repeated.

    With --running or --frequent the sidecar is asked where each run would go
    now. A run that is stopped may have done its work already, or continue for a
    while if its worker does not get the message: use --running only for jobs
    that may run twice. PowerJob starts fixed-rate and fixed-delay jobs again by
    itself. The mark dc-sidecar:stay in a job's tag exempts it.
    """
    application = PowerJobApp(
        PowerJobServers(servers, timeout=5.0), app, secret(password_file, "--password-file", _PASSWORD)
    )
    scope = Running.ALL if running else Running.FREQUENT if frequent else Running.NONE
    with open_client(ctx) as client:
        choose = None if scope is Running.NONE else partial(_choose, client)
        finder = WorkFinder(application, lost=lost, choose=choose, running=scope, map_reduce=map_reduce)
        steps = [*finder.failed(since // 10**6), *finder.running()]
    todo = [step for step in steps if step.action.moves]
    if output == "text":
        _show(steps)
    outcomes: list[RescheduleOutcome] = []
    if (
        todo
        and not dry_run
        and agreed("move", "run", len(todo), yes=yes, quiet=output == "json", declined="Nothing was moved.")
    ):
        outcomes = _move(application, todo, rate)
    if output == "json":
        print_json({"app": app, "found": list(map(_plain, steps)), "outcomes": list(map(_outcome_of, outcomes))})
    elif not todo:
        say("Nothing to do.")
    elif dry_run:
        say("Dry run: nothing was moved.")
    elif outcomes:
        print_lines([summary(outcomes)])
    return _NOT_ALL if any(not outcome.done for outcome in outcomes) else 0


def _choose(
    client: RoutingClient, names: tuple[str, ...], job: str, instance: str, workers: Sequence[PowerJobWorker]
) -> Collection[str]:
    # As the adapter asked last, which may have been set to another order.
    names = client.route(names[0]).dispatch_names or names
    return client.filter(names[0], job=job, instance=instance, candidates=workers, aliases=names[1:]).addresses


def _show(steps: Sequence[RescheduleStep]) -> None:
    print_table(("RUN", "JOB", "LAST ON", "TO DO", "WHY"), steps, _row, _SHOWN)


def _row(step: RescheduleStep) -> Sequence[str]:
    return (
        str(step.instance),
        f"{step.job} {step.job_name}".strip(),
        step.worker or "-",
        step.action.value if step.workflow is None else f"{step.action.value} ({step.workflow})",
        step.why,
    )


def _move(app: PowerJobApp, steps: Sequence[RescheduleStep], rate: float) -> list[RescheduleOutcome]:
    outcomes: list[RescheduleOutcome] = []
    for step in steps:
        if outcomes:
            time.sleep(1 / rate)
        try:
            outcomes.append(execute(app, step))
        except PowerJobUnavailable:
            say(
                f"PowerJob stopped answering at {step}; before: {summary(outcomes)}. Run the command again to continue."
            )
            raise
        if not outcomes[-1].done:
            say(str(outcomes[-1]))
    return outcomes


def _plain(step: RescheduleStep) -> dict[str, Any]:
    return {**asdict(step), "action": step.action.value}


def _outcome_of(outcome: RescheduleOutcome) -> dict[str, Any]:
    return {"instance": outcome.step.instance, "done": outcome.done, "words": outcome.words}
