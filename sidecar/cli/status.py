"""`dc-sidecar status`: what a running sidecar serves, and how fresh that is."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import click

from sidecar.cli.client_plain import status_plain
from sidecar.cli.connection import Connect, with_sidecars
from sidecar.cli.fleet import statuses
from sidecar.cli.output import columns, output_option, print_json
from sidecar.client import SourceState, Status
from sidecar.errors import NotServing, SidecarError
from sidecar.routing.scalars import format_duration, format_time

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000

_EPILOG = """\b
Examples:
  dc-sidecar status
  dc-sidecar status --sidecar unix:/run/dc-sidecar/sidecar.sock -o json
  dc-sidecar status --sidecar dc-sidecar.scheduler.svc:50051"""

_DISAGREE = 5


@click.command("status", epilog=_EPILOG)
@output_option
@with_sidecars
def command(*, sidecars: tuple[str, ...], connect: Connect, output: str) -> int:
    """Show what a running sidecar serves and how fresh it is.

    Several are shown side by side, and those that do not serve what most do
    are marked. Exits with 5 if there are any, or some that do not answer.
    """
    found = statuses(sidecars, connect=connect)
    if len(found) == 1:
        return _one(found[0][1], output)
    counted = Counter(answer.revision for _, answer in found if isinstance(answer, Status))
    if not counted:
        raise NotServing(f"none of {len(found)} sidecars answers; the first: {found[0][1]}")
    usual = counted.most_common(1)[0][0]
    if output == "json":
        print_json([_entry(address, answer, usual) for address, answer in found])
    else:
        rows: list[tuple[str, ...]] = [("SIDECAR", "STATE", "REVISION", "APPLIED", "CONFIRMED", "")]
        rows += [(address, *_row(answer, usual)) for address, answer in found]
        click.echo("\n".join(columns(rows)))
    return 0 if list(counted) == [usual] and counted.total() == len(found) else _DISAGREE


def _one(status: Status | SidecarError, output: str) -> int:
    if isinstance(status, SidecarError):
        raise status
    if output == "json":
        print_json(status_plain(status))
        return 0
    rows = [("version", status.version), ("source", status.source), ("state", _state(status))]
    if status.source_error:
        rows.append(("", status.source_error))
    rows += [("revision", _revision(status)), ("applied", _ago(status.applied_at_ms))]
    rows.append(("confirmed", _ago(status.confirmed_at_ms)))
    for outage in status.outages:
        rows.append(("out", f"{outage.datacenter}{f' for {outage.app}' if outage.app else ''}: {outage.reason}"))
    click.echo("\n".join(columns(rows)))
    return 0


def _entry(address: str, answer: Status | SidecarError, usual: str) -> dict[str, Any]:
    if isinstance(answer, SidecarError):
        return {"sidecar": address, "agrees": False, "error": str(answer)}
    return {"sidecar": address, "agrees": answer.revision == usual, **status_plain(answer)}


def _row(answer: Status | SidecarError, usual: str) -> tuple[str, ...]:
    if isinstance(answer, SidecarError):
        return click.style("no answer", fg="red"), "-", "-", "-", ""
    differs = "" if answer.revision == usual else click.style("differs", fg="red")
    ages = (
        age.removesuffix(" ago").replace("less than ", "<")
        for age in map(_age, (answer.applied_at_ms, answer.confirmed_at_ms))
    )
    return _state(answer), answer.revision or "none", *ages, differs


def _state(status: Status) -> str:
    good = status.source_state is SourceState.SYNCED
    return click.style(status.source_state.name, fg="green" if good else "yellow")


def _revision(status: Status) -> str:
    if not status.revision:
        return "none: there is no routing document yet"
    snapshot = ", from the snapshot on disk" if status.from_snapshot else ""
    return f"{status.revision}, generation {status.generation}{snapshot}"


def _ago(moment_ms: int) -> str:
    """Return a time, and how long ago it was."""
    if not moment_ms:
        return "never"
    moment = moment_ms * _NS_PER_MS
    return f"{format_time(moment // _NS_PER_S * _NS_PER_S)} ({_age(moment_ms)})"


def _age(moment_ms: int) -> str:
    """Return how long ago a time was, in its two largest units."""
    if not moment_ms:
        return "never"
    seconds = max(0, time.time_ns() - moment_ms * _NS_PER_MS) // _NS_PER_S
    coarse = next((unit for limit, unit in ((86_400, 3_600), (3_600, 60)) if seconds >= limit), 1)
    words = format_duration(seconds // coarse * coarse * _NS_PER_S) if seconds else "less than 1s"
    return f"{words} ago"
