"""`dc-sidecar celery`: move the tasks that wait in the queues of a datacenter that work has left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidecar.cli.options.flags import SidecarCommand, output_option, secret
from sidecar.cli.render import agreed, columns, print_json, print_lines, say
from sidecar.cli.sidecars import open_client
from sidecar.client import RoutingClient
from sidecar.errors import ConfigError, NotServing

if TYPE_CHECKING:
    from sidecar.celery.mover import MoveResult, QueueMover

_BROKER = "DC_SIDECAR_CELERY_BROKER"
# The exit code where some tasks were not moved.
_NOT_ALL = 5
_ROUTES_S = 0.005
# Tasks of each queue that are looked at before a move.
_LOOKED = 1000


@click.group("celery")
def command() -> None:
    """Move Celery's tasks after an outage or a switch."""


_MOVE = """\b
Examples:
  dc-sidecar celery move billing --from dc1 --queue celery --dry-run \\
    --broker-file /run/secrets/broker
  dc-sidecar celery move billing --from dc1 --queue celery --queue mail \\
    --broker-file /run/secrets/broker --yes --sidecar 10.1.0.5:50051"""


@command.command("move", cls=SidecarCommand, epilog=_MOVE)
@click.argument("app")
@click.option("--from", "datacenter", required=True, metavar="DATACENTER", help="The datacenter that tasks leave.")
@click.option(
    "--queue", "queues", multiple=True, required=True, metavar="QUEUE", help="A queue's plain name. Repeatable."
)
@click.option(
    "--broker-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the broker's URL; or set {_BROKER}.",
)
@click.option("--template", default="{queue}.{dc}", show_default=True, help="The name of a datacenter's queue.")
@click.option(
    "--unacked", is_flag=True, help="Redis: also move tasks that lost workers had received. They may run twice."
)
@click.option("--limit", type=click.IntRange(1), default=1_000_000, show_default=True, help="Tasks per queue, at most.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=2000, show_default=True, help="Tasks per second."
)
@click.option("--dry-run", is_flag=True, help="Show where up to 1,000 tasks of each queue would go; move none.")
@click.option("-y", "--yes", is_flag=True, help="Move without asking.")
@output_option
@click.pass_context
def move(
    ctx: click.Context,
    /,
    *,
    app: str,
    datacenter: str,
    queues: tuple[str, ...],
    broker_file: Path | None,
    template: str,
    unacked: bool,
    limit: int,
    rate: float,
    dry_run: bool,
    yes: bool,
    output: str,
    **_: Any,  # noqa: ANN401 - the options of the connection
) -> int:
    """Move APP's tasks that wait in a datacenter's queues.

    Each task goes to the datacenter where it belongs now, as the sidecar says
    with the live workers; tasks that still belong where they are, or that no
    worker may run, stay. A task is in one queue at any moment, so the command
    can be stopped and repeated. On Redis, tasks that a worker had received when
    it was lost are moved with --unacked only.
    """
    try:
        import celery

        from sidecar.celery.broker import open_queues
        from sidecar.celery.mover import QueueMover, summary
        from sidecar.celery.router import Router
        from sidecar.celery.settings import CelerySettings
    except ImportError as error:
        raise ConfigError(f"{error}: install dc-sidecar[celery]") from error
    application = celery.Celery(app, broker=_broker(broker_file), set_as_current=False)
    params = ctx.params
    settings = CelerySettings(
        application=app,
        template=template,
        timeout=params["timeout"],
        on_outage="closed",
        on_no_worker="fail",
        datacenter=datacenter,
        state_dir=None,
    )
    results: list[MoveResult] = []
    router = Router(settings, lambda: client, dispatch=not dry_run)
    with (
        open_client(ctx, router.note_routes) as client,
        open_queues(application) as there,
    ):
        _wait_for_routes(client, router, params["timeout"])
        mover = QueueMover(application, there, router, datacenter=datacenter, rate=rate)
        mover.inspect_workers()
        found = [mover.look(queue, min(limit, _LOOKED)) for queue in queues]
        if output == "text":
            _show(found)
        waiting = sum(result.found for result in found)
        held = _held_by_lost(mover, queues, datacenter) if unacked else set()
        if dry_run:
            results = found
        elif (waiting or held) and agreed(
            "move", "task", waiting, yes=yes, quiet=output == "json", declined="Nothing was moved."
        ):
            results = [mover.move(queue, limit, unacked=queue in held) for queue in queues]
    if output == "json":
        print_json({"app": app, "from": datacenter, "dry_run": dry_run, "queues": list(map(_plain, results or found))})
    elif dry_run:
        say("Dry run: nothing was moved.")
    elif results:
        print_lines([summary(results)])
    else:
        say("Nothing to do.")
    return 0 if dry_run or all(result.complete for result in results) else _NOT_ALL


def _broker(file: Path | None) -> str:
    url = secret(file, "--broker-file", _BROKER)
    if not url:
        raise click.UsageError(f"the broker's URL: pass --broker-file, or set {_BROKER}")
    return url


def _wait_for_routes(client: RoutingClient, router: Any, timeout: float) -> None:  # noqa: ANN401 - imported late
    """Wait for the sidecar's routes. Raises NotServing."""
    client.status()
    until = time.monotonic() + timeout
    while router.view is None:
        if time.monotonic() > until:
            raise NotServing("the sidecar sent no routes in time: raise --timeout")
        time.sleep(_ROUTES_S)


def _held_by_lost(mover: QueueMover, queues: Sequence[str], datacenter: str) -> set[str]:
    """Return the queues that no live worker of a datacenter consumes; say which of them has one."""
    live = {queue for queue in queues if mover.has_workers(queue)}
    for queue in live:
        say(f"--unacked: {datacenter} has live workers that consume {queue}; the tasks they received are left to them")
    return set(queues) - live


def _show(found: Sequence[MoveResult]) -> None:
    rows = [("QUEUE", "WAITING", "TO", "TASKS")]
    for result in found:
        counted = [*result.moved.items(), *((f"stay: {why}", count) for why, count in result.kept.items() if count)]
        rows += [(result.queue, f"{result.found:,}", name, f"{count:,}") for name, count in counted or [("-", 0)]]
    print_lines(columns(rows))


def _plain(result: MoveResult) -> dict[str, Any]:
    return {"queue": result.queue, "found": result.found, "moved": dict(result.moved), "kept": +result.kept}
