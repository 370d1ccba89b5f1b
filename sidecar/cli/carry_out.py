"""How a change is made: read, show, ask, write if nobody else has, wait until the sidecars have it."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, replace
from typing import Any

import click

from sidecar.cli.changing import Orders
from sidecar.cli.fleet import Confirmation, await_revision, statuses
from sidecar.cli.output import print_json, say
from sidecar.cli.showing import difference_lines, proposal_lines
from sidecar.client import Outage, Status
from sidecar.editing.meta import ChangeMeta
from sidecar.editing.proposal import CurrentDocument, Edit, Proposal, difference, propose, read_current
from sidecar.editing.safety_rules import enforce
from sidecar.editing.wording import cause_text, place_code, unit_text
from sidecar.errors import ChangeRefused, SourceError, WriteConflict
from sidecar.routing.outage import Fault, FaultKind, Outages, unhealthy
from sidecar.routing.plain import filled
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State
from sidecar.sources.base import Content

_CONFLICT = 4
_NOT_CONFIRMED = 5
# How long a config center may go on showing what was there before a write, and how often to look.
_LAG = 2.0
_LOOK = 0.1


def carry_out(orders: Orders, edit: Edit) -> int:
    """Make a change as ordered; return the exit code.

    Raises Refused, click.UsageError where nobody can be asked, and SourceError where the config center does not answer.
    """
    redone = 0
    while True:
        opened, version = _read(orders)
        proposal = propose(
            opened,
            edit,
            stamp=ChangeMeta(by=orders.by, at_ns=time.time_ns(), reason=orders.reason, ticket=orders.ticket),
            # Whoever does it again has just been shown the change that would hold it off.
            rules=replace(orders.rules, hold_off=0.0) if redone else orders.rules,
            full_document=orders.full_document,
            counts=orders.counts(opened.document) if opened.document else None,
            faults=_faults(orders, opened),
            ask=orders.ask,
            max_bytes=orders.max_bytes,
        )
        report: dict[str, Any] = _report(orders, proposal)
        if not _agreed(orders, proposal, report):
            return 0
        try:
            _write(orders, proposal, version)
        except WriteConflict:
            theirs, _ = _read(orders, other_than=version)
            _tell_conflict(opened, theirs)
            if redone < orders.redo or _asks(orders, "Do it again, on top of that?"):
                redone += 1
                continue
            report["conflict"] = {"revision": theirs.revision, "difference": _their_difference(opened, theirs)}
            _print(orders, report)
            return _CONFLICT
        say(f"Written: revision {proposal.revision}.")
        report["written"] = True
        return _confirmed(orders, proposal, report)


def _faults(orders: Orders, opened: CurrentDocument) -> Outages:
    """Return the datacenters that the sidecars we wait for have found down; what one does not tell, another may."""
    if not orders.sidecars or opened.document is None:
        return {}
    written = State(opened.document, 0, time.time_ns()).out
    return {
        outage.datacenter: unhealthy(_fault(outage))
        for _, status in statuses(orders.sidecars, connect=orders.connect)
        if isinstance(status, Status)
        for outage in status.outages
        if not outage.app and outage.datacenter not in written
    }


def _fault(outage: Outage) -> Fault:
    """Return the fault of an outage; that of an older sidecar has a text only."""
    return outage.fault or Fault(FaultKind.OTHER, text=outage.reason)


def _read(orders: Orders, *, other_than: str | None = None) -> tuple[CurrentDocument, str | None]:
    """Return what the key holds and its version; wait a little for another version where one must be there."""
    deadline = time.monotonic() + (_LAG if other_than is not None else 0.0)
    while True:
        content = orders.source.read(orders.timeout)
        found = (content.text, content.version) if isinstance(content, Content) else (None, None)
        if found[1] != other_than or time.monotonic() >= deadline:
            return read_current(found[0], max_bytes=orders.max_bytes), found[1]
        time.sleep(_LOOK)


def _agreed(orders: Orders, proposal: Proposal, report: dict[str, Any]) -> bool:
    """Show the proposal; tell whether it is to be written. Raises Refused, and UsageError where nobody can be asked."""
    for line in proposal_lines(proposal, orders.forced):
        click.echo(line, err=orders.output == "json")
    try:
        enforce(proposal.violations, orders.forced)
    except ChangeRefused:
        _print(orders, report)
        raise
    if proposal.text == proposal.opened.text:
        say("Nothing to write: the document says so already.")
    elif orders.dry_run:
        say("Dry run: nothing is written.")
    elif orders.yes:
        return True
    elif not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at: say --yes to do it, --dry-run to look only")
    elif _asks(orders, "Write this?"):
        return True
    else:
        say("Nothing is written.")
    _print(orders, report)
    return False


def _asks(orders: Orders, question: str) -> bool:
    return not orders.yes and sys.stdin.isatty() and click.confirm(question, err=True)


def _write(orders: Orders, proposal: Proposal, version: str | None) -> None:
    """Write the proposal. Where an error leaves open whether it was written, look."""
    try:
        orders.source.write(proposal.text, version, orders.timeout)
    except WriteConflict:
        # An answer that was lost and a second try of the source's own look like a conflict with ourselves.
        if _read(orders, other_than=version)[0].text != proposal.text:
            raise
    except SourceError as error:
        try:
            found, _ = _read(orders)
        except SourceError:
            raise error from None
        if found.text != proposal.text:
            raise


def _tell_conflict(ours: CurrentDocument, theirs: CurrentDocument) -> None:
    say(f"{click.style('Somebody else wrote meanwhile', bold=True)}; nothing of yours is written.")
    if theirs.document is not None:
        meta = theirs.document.meta
        said = [f"{key} {meta[key]}" for key in ("by", "at", "reason", "ticket") if isinstance(meta.get(key), str)]
        if said and (ours.document is None or meta != ours.document.meta):
            say(f"Their change ({', '.join(said)}):")
    for line in difference_lines(_their_difference(ours, theirs)):
        say(line)


def _their_difference(ours: CurrentDocument, theirs: CurrentDocument) -> list[str]:
    return difference(ours.text, theirs.text or b"")


def _confirmed(orders: Orders, proposal: Proposal, report: dict[str, Any]) -> int:
    if orders.wait is None:
        _print(orders, report)
        return 0
    found = await_revision(
        orders.sidecars, proposal.revision, orders.wait, connect=orders.connect, shown=orders.output == "text"
    )
    report["sidecars"] = [_confirmation(one) for one in found]
    _print(orders, report)
    missing = [one.address for one in found if not one.confirmed]
    if not missing:
        say(f"Confirmed by all {len(found)}." if len(found) > 1 else "Confirmed.")
        return 0
    say(f"Not confirmed by {len(missing)} of {len(found)}: {', '.join(missing)}. The document is written all the same.")
    return _NOT_CONFIRMED


def _confirmation(one: Confirmation) -> dict[str, Any]:
    return {"address": one.address, "confirmed": one.confirmed, "after_s": one.after_s, "said": one.said}


def _report(orders: Orders, proposal: Proposal) -> dict[str, Any]:
    return {
        "source": orders.source.url,
        "revision_before": proposal.opened.revision or None,
        "revision": proposal.revision,
        "written": False,
        "difference": proposal.difference,
        "effect": [
            {
                "at": format_time(moment.at_ns),
                "why": cause_text(moment.cause) or "now",
                "cause": {
                    "kind": moment.cause.kind.value,
                    **filled({"datacenter": moment.cause.datacenter, "steps": moment.cause.steps}),
                },
                "moves": [
                    {
                        "subjects": [{"app": s.app or None, "job": s.job or None} for s in movement.subjects],
                        "unit": unit_text(movement.sticky),
                        "moves": [
                            {
                                "from": place_code(move.source),
                                "to": place_code(move.target),
                                "share": round(move.share, 6),
                            }
                            for move in movement.moves
                        ],
                        "shares": {place_code(place): round(share, 6) for place, share in movement.shares},
                    }
                    for movement in moment.movements
                ],
            }
            for moment in proposal.comparison.moments
        ],
        "notes": list(proposal.notes),
        "objections": [{**asdict(one), "forced": one.rule in orders.forced} for one in proposal.violations],
    }


def _print(orders: Orders, report: dict[str, Any]) -> None:
    if orders.output == "json":
        print_json(report)
