"""`dc-sidecar status`: what a running sidecar serves, and how fresh that is."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from sidecar.cli.connection import with_client
from sidecar.cli.output import columns, output_option, print_json
from sidecar.client import RoutingClient, SourceState, Status
from sidecar.routing.scalars import format_duration, format_time

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000

_EPILOG = """\b
Examples:
  dc-sidecar status
  dc-sidecar status --sidecar unix:/run/dc-sidecar/sidecar.sock -o json"""


@click.command("status", epilog=_EPILOG)
@output_option
@with_client
def command(*, client: RoutingClient, output: str) -> None:
    """Show what a running sidecar serves and how fresh it is."""
    status = client.status()
    if output == "json":
        print_json({**asdict(status), "source_state": status.source_state.name})
        return
    good = status.source_state is SourceState.SYNCED
    state = click.style(status.source_state.name, fg="green" if good else "yellow")
    rows = [("version", status.version), ("source", status.source), ("state", state)]
    if status.source_error:
        rows.append(("", status.source_error))
    rows += [("revision", _revision(status)), ("applied", _ago(status.applied_at_ms))]
    rows.append(("confirmed", _ago(status.confirmed_at_ms)))
    click.echo("\n".join(columns(rows)))


def _revision(status: Status) -> str:
    if not status.revision:
        return "none: there is no routing document yet"
    snapshot = ", from the snapshot on disk" if status.from_snapshot else ""
    return f"{status.revision}, generation {status.generation}{snapshot}"


def _ago(moment_ms: int) -> str:
    """Return a time, and how long ago it was in its two largest units."""
    if not moment_ms:
        return "never"
    moment = moment_ms * _NS_PER_MS
    seconds = max(0, time.time_ns() - moment) // _NS_PER_S
    coarse = next((unit for limit, unit in ((86_400, 3_600), (3_600, 60)) if seconds >= limit), 1)
    words = format_duration(seconds // coarse * coarse * _NS_PER_S) if seconds else "less than 1s"
    return f"{format_time(moment // _NS_PER_S * _NS_PER_S)} ({words} ago)"
