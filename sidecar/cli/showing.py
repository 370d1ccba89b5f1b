"""How a proposed change looks to people: the difference, then the effect in words and numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence

import click

from sidecar.cli.output import dim
from sidecar.editing.impact import ImpactStep
from sidecar.editing.proposal import Proposal
from sidecar.editing.wording import cause_text, movement_text
from sidecar.routing.changes import changes
from sidecar.routing.wording import change_text, second

_WIDTH = 79
_TOLD = 10


def proposal_lines(proposal: Proposal, forced: Collection[str]) -> Iterator[str]:
    """Yield the lines that show a proposal."""
    yield from difference_lines(proposal.difference)
    yield ""
    for moment in proposal.comparison.moments:
        yield from _moment(moment, proposal)
    for note in proposal.notes:
        yield from _wrapped(f"Note: {note}.", "      ")
    for objection in proposal.violations:
        if objection.rule in forced:
            yield from _wrapped(f"Forced against {objection.rule}: {objection.message}.", "      ")


def difference_lines(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a difference, coloured where there is colour."""
    for line in lines:
        if line.startswith(("---", "+++", "@@")):
            yield dim(line)
        elif line.startswith("+"):
            yield click.style(line, fg="green")
        else:
            yield click.style(line, fg="red") if line.startswith("-") else line


def _moment(moment: ImpactStep, proposal: Proposal) -> Iterator[str]:
    cause = cause_text(moment.cause)
    head = f"At {second(moment.at_ns)}, when {cause}:" if cause else "Now:"
    told = list(map(movement_text, moment.movements)) or ([] if cause else _quiet(proposal))
    yield from _wrapped(click.style(head, bold=True), "  ")
    for line in told[:_TOLD] or ["nothing moves"]:
        yield from _wrapped(f"  {line}", "    ")
    if len(told) > _TOLD:
        yield f"  and {len(told) - _TOLD:,} more (-o json has them all)"


def _quiet(proposal: Proposal) -> list[str]:
    """Say what else changes where no job moves now."""
    comparison = proposal.comparison
    found = [change_text(one) for one in changes(comparison.old(comparison.now_ns), comparison.new(comparison.now_ns))]
    return ["nothing moves", *found] if found else []


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
