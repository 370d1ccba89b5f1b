"""`dc-sidecar status`: what running sidecars serve, and how fresh that is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from sidecar import client
from sidecar.cli.options.flags import FleetCommand, output_option
from sidecar.cli.render import Style, columns, print_json, print_lines, status_plain, styled
from sidecar.cli.sidecars import Endpoint, connecting, named_sidecars, none_answers, resolve, statuses
from sidecar.client import GrayVersion, SourceState, Status
from sidecar.errors import SidecarError
from sidecar.routing.outage import Outage
from sidecar.routing.scalars import format_duration
from sidecar.routing.wording import outage_text
from sidecar.routing.zone import show_time

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000

_EPILOG = """\b
Examples:
  dc-sidecar status
  dc-sidecar status --sidecar unix:/run/dc-sidecar/sidecar.sock -o json
  dc-sidecar status --sidecar dc-sidecar.scheduler.svc:50051"""

# The exit code where the sidecars do not all answer and agree.
_DISAGREE = 5


@click.command("status", cls=FleetCommand, epilog=_EPILOG)
@output_option
@click.pass_context
def command(ctx: click.Context, /, *, timeout: float, output: str, **_: Any) -> int:  # noqa: ANN401
    """Show what a running sidecar serves and how fresh it is.

    Several sidecars are listed side by side, and those that differ from the
    majority are marked; where there is none, all are. Exits with 5 if any
    differs or does not answer.
    """
    endpoints = resolve(named_sidecars(ctx))
    found = statuses(endpoints, connecting(ctx.params), timeout)
    if len(found) == 1:
        return _print_one(found[0][1], output)
    return _print_fleet(found, output)


def _print_one(status: Status | SidecarError, output: str) -> int:
    if isinstance(status, SidecarError):
        raise status
    if output == "json":
        print_json(status_plain(status))
        return 0
    rows = [("version", status.version), ("source", status.source)]
    if status.environment:
        rows.append(("environment", status.environment))
    rows.append(("state", _state(status)))
    if status.source_error:
        rows.append(("", status.source_error))
    rows += [("revision", _revision(status)), ("applied", _ago(status.applied_at_ms))]
    rows.append(("confirmed", _ago(status.confirmed_at_ms)))
    if status.gray is not None:
        rows.append(("gray", _gray(status.gray)))
    for outage in status.outages:
        scope = f" for {outage.app}" if outage.app else ""
        rows.append(("out", f"{outage.datacenter}{scope}: {_reason(outage)}"))
    print_lines(columns(rows))
    return 0


def _reason(outage: client.Outage) -> str:
    """Return why a datacenter is out, with times as this command shows them; an older sidecar sends the text only."""
    if outage.kind is None:
        return outage.reason
    since_ns, until_ns = outage.since_ms * _NS_PER_MS, outage.until_ms * _NS_PER_MS
    return outage_text(Outage(outage.kind, since_ns, until_ns, outage.drill_reason, outage.fault))


def _gray(gray: GrayVersion) -> str:
    clients = f" for {', '.join(gray.clients)}" if gray.clients else ""
    text = f"{gray.rule}{clients}, since {_ago(gray.since_ms)}: ordinary publishes do not arrive until it is ended"
    return styled(text, Style.YELLOW)


def _print_fleet(found: Sequence[tuple[Endpoint, Status | SidecarError]], output: str) -> int:
    revisions = Counter(status.revision for _, status in found if isinstance(status, Status))
    if not revisions:
        raise none_answers([failure for _, failure in found if isinstance(failure, SidecarError)])
    usual = _usual(revisions)
    if output == "json":
        print_json([_entry(endpoint.address, status, usual) for endpoint, status in found])
    else:
        rows: list[tuple[str, ...]] = [("SIDECAR", "STATE", "REVISION", "APPLIED", "CONFIRMED", "")]
        rows += [(endpoint.address, *_row(status, usual)) for endpoint, status in found]
        print_lines(columns(rows))
    return 0 if list(revisions) == [usual] and revisions.total() == len(found) else _DISAGREE


def _usual(revisions: Counter[str]) -> str | None:
    """Return the revision that more sidecars serve than any other; None in a tie."""
    first, *others = revisions.most_common(2)
    return None if others and others[0][1] == first[1] else first[0]


def _entry(address: str, status: Status | SidecarError, usual: str | None) -> dict[str, Any]:
    if isinstance(status, SidecarError):
        return {"sidecar": address, "agrees": False, "error": str(status)}
    return {"sidecar": address, "agrees": status.revision == usual, **status_plain(status)}


def _row(status: Status | SidecarError, usual: str | None) -> tuple[str, ...]:
    if isinstance(status, SidecarError):
        return styled("no answer", Style.RED), "-", "-", "-", ""
    word = "no majority" if usual is None else "differs"
    differs = "" if status.revision == usual else styled(word, Style.RED)
    if status.gray is not None:
        differs = f"{differs}, gray".removeprefix(", ")
    ages = (
        age.removesuffix(" ago").replace("less than ", "<")
        for age in map(age_text, (status.applied_at_ms, status.confirmed_at_ms))
    )
    return _state(status), status.revision or "none", *ages, differs


def _state(status: Status) -> str:
    good = status.source_state is SourceState.SYNCED
    return styled(status.source_state.name, Style.GREEN if good else Style.YELLOW)


def _revision(status: Status) -> str:
    if not status.revision:
        return "none: there is no routing document yet"
    snapshot = ", from the snapshot on disk" if status.from_snapshot else ""
    return f"{status.revision}, generation {status.generation}{snapshot}"


def _ago(moment_ms: int) -> str:
    """Return a time, and how long ago it was."""
    if not moment_ms:
        return "never"
    return f"{show_time(moment_ms * _NS_PER_MS)} ({age_text(moment_ms)})"


def age_text(moment_ms: int) -> str:
    """Return how long ago a time was, in its two largest units."""
    if not moment_ms:
        return "never"
    seconds = max(0, time.time_ns() - moment_ms * _NS_PER_MS) // _NS_PER_S
    coarse = next((unit for limit, unit in ((86_400, 3_600), (3_600, 60)) if seconds >= limit), 1)
    words = format_duration(seconds // coarse * coarse * _NS_PER_S) if seconds else "less than 1s"
    return f"{words} ago"
