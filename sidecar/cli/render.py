"""How commands print: data on stdout, as text or JSON, and messages on stderr."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml

from sidecar.cli.options.output import YAML
from sidecar.editing.wording import cause_text, movement_text, place_code, unit_text
from sidecar.routing.changes import changes
from sidecar.routing.plain import fault_plain, filled
from sidecar.routing.scalars import format_time
from sidecar.routing.wording import change_text, second
from sidecar.terminal import escaped, escaped_json

if TYPE_CHECKING:
    from sidecar.cli.options.target import Target
    from sidecar.client import AppRoute, Outage, RouteUpdate, Status
    from sidecar.editing.draft import Draft
    from sidecar.editing.impact import Impact, ImpactStep
    from sidecar.editing.review import Review

T = TypeVar("T")

_WIDTH = 79
# How many lines of a difference are printed before a change, enough for a dozen applications.
_DIFFERENCE_LINES = 80
# How many lines about one moment are printed.
_LINES = 10


class Style(Enum):
    """How a part of a line is shown on a terminal, by the character that begins it until it is printed.

    A text that somebody else wrote is escaped when it is printed. These are noncharacters, which Unicode reserves for
    use within a program: a text that has one all the same can choose a colour until the end of its line, no more.
    """

    PLAIN = "\ufdd0"
    BOLD = "\ufdd1"
    DIM = "\ufdd2"
    GREEN = "\ufdd3"
    RED = "\ufdd4"
    YELLOW = "\ufdd5"


_SEQUENCES = {
    Style.PLAIN: "\x1b[0m",
    Style.BOLD: "\x1b[1m",
    Style.DIM: "\x1b[2m",
    Style.GREEN: "\x1b[32m",
    Style.RED: "\x1b[31m",
    Style.YELLOW: "\x1b[33m",
}
_STYLED = str.maketrans({style.value: sequence for style, sequence in _SEQUENCES.items()})
_UNSTYLED = str.maketrans(dict.fromkeys((style.value for style in Style), ""))


def say(message: str) -> None:
    """Print a message to the operator, which is not data. Further lines are indented, so no text can forge one."""
    first, *rest = message.split("\n")
    print_lines([first, *(f"  {line}" for line in rest)], err=True)


def agreed(verb: str, noun: str, count: int, *, yes: bool, quiet: bool, declined: str) -> bool:
    """Ask whether to do `verb` with so many things; return the answer. Raises UsageError where nobody can be asked.

    `yes` is the answer given already; `quiet` means that the output is data.
    """
    if yes:
        return True
    if quiet or not sys.stdin.isatty():
        raise click.UsageError(
            f"no terminal to confirm at: pass --yes to {verb} the {noun}s, or --dry-run to only look"
        )
    if click.confirm(f"{verb.capitalize()} {count:,} {noun}{'' if count == 1 else 's'}?", err=True):
        return True
    say(declined)
    return False


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines, each as one line: control characters in it are escaped."""
    for line in lines:
        text = escaped(line)
        shown = text.translate(_STYLED)
        click.echo(shown if shown == text else f"{shown}{_SEQUENCES[Style.PLAIN]}", err=err)


def print_json(data: object, *, indent: int | None = 2) -> None:
    """Print data as JSON, or as YAML where `-o yaml` was given."""
    if wants_yaml():
        # Through JSON, which has plain values only.
        click.echo(yaml_text(json.loads(json.dumps(data))), nl=False)
    else:
        click.echo(escaped_json(json.dumps(data, indent=indent, ensure_ascii=False)))


def wants_yaml() -> bool:
    """Return whether the command was given `-o yaml`."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(YAML))


def yaml_text(data: object) -> str:
    """Return plain values as YAML; characters that a terminal would act on, or hide, are escaped."""
    dump = partial(yaml.dump, data, Dumper=yaml.CSafeDumper, sort_keys=False, width=100)
    text = str(dump(allow_unicode=True))
    return text if escaped_json(text) == text else str(dump(allow_unicode=False))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns."""
    shown = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(map(padded, row, widths)).rstrip() for row in shown]


def print_table(header: Sequence[str], items: Sequence[T], row: Callable[[T], Sequence[str]], most: int) -> None:
    """Print a row for each item under a header, of many for the first `most`, and how many more there are.

    Prints nothing without items.
    """
    if items:
        print_lines(columns([header, *map(row, items[:most])]))
    if len(items) > most:
        print_lines([f"and {len(items) - most:,} more (all with -o json)"])


def padded(text: str, columns: int) -> str:
    """Return a text with blanks up to a width, which leaves its styles out."""
    return text + " " * (columns - width(text))


def width(text: str) -> int:
    """Return how many characters of a text are shown."""
    return len(text.translate(_UNSTYLED))


def styled(text: str, style: Style) -> str:
    """Return a text that is shown in a style, on a terminal."""
    return f"{style.value}{text}{Style.PLAIN.value}"


def dim(text: str) -> str:
    """Return a text in a fainter colour, on a terminal."""
    return styled(text, Style.DIM)


def difference_lines(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a unified diff, coloured on a terminal."""
    for line in lines:
        if line.startswith(("---", "+++", "@@")):
            yield dim(line)
        elif line.startswith("+"):
            yield styled(line, Style.GREEN)
        else:
            yield styled(line, Style.RED) if line.startswith("-") else line


def change_lines(draft: Draft, review: Review, forced: Collection[str], *, all_lines: bool = False) -> Iterator[str]:
    """Yield the lines that show a change: the difference, the effect, and notes.

    Of a long difference the first lines are shown, unless `all_lines`.
    """
    shown = draft.difference if all_lines else draft.difference[:_DIFFERENCE_LINES]
    yield from difference_lines(shown)
    if len(shown) < len(draft.difference):
        changed = sum(line.startswith("+") for line in draft.difference) - 1
        rest = len(draft.difference) - len(shown)
        yield dim(f"… {rest:,} more lines; {changed:,} lines are new or changed (all with -o json)")
    yield ""
    for step in review.impact.moments:
        yield from _step_lines(step, review.impact)
    for note in review.notes:
        yield from _wrapped(f"Note: {note}.", "      ")
    for violation in review.violations:
        if violation.rule in forced:
            yield from _wrapped(f"Forced despite {violation.rule}: {violation.message}.", "      ")


def _step_lines(step: ImpactStep, impact: Impact) -> Iterator[str]:
    cause = cause_text(step.cause)
    head = f"At {second(step.at_ns)}, when {cause}:" if cause else "Now:"
    lines = list(map(movement_text, step.movements)) or ([] if cause else _other_changes(impact))
    yield from _wrapped(styled(head, Style.BOLD), "  ")
    for line in lines[:_LINES] or ["nothing moves"]:
        yield from _wrapped(f"  {line}", "    ")
    if len(lines) > _LINES:
        yield f"  and {len(lines) - _LINES:,} more (all with -o json)"


def _other_changes(impact: Impact) -> list[str]:
    """Return the other changes where no job moves now."""
    found = [change_text(one) for one in changes(impact.old(impact.now_ns), impact.new(impact.now_ns))]
    return ["nothing moves", *found] if found else []


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def target_plain(target: Target) -> dict[str, Any]:
    """Return the target of a change as the first fields of `-o json`."""
    return {"source": target.url, "namespace": target.namespace or None, "context": target.context or None}


def change_report(draft: Draft, review: Review, forced: Collection[str]) -> dict[str, Any]:
    """Return a change as the JSON object of `-o json`, not written yet."""
    return {
        "revision_before": draft.current.revision or None,
        "revision": draft.new.revision,
        "written": False,
        "difference": list(draft.difference),
        "effect": [_step_json(step) for step in review.impact.moments],
        "notes": list(review.notes),
        "objections": [{**asdict(one), "forced": one.rule in forced} for one in review.violations],
    }


def _step_json(step: ImpactStep) -> dict[str, Any]:
    return {
        "at": format_time(step.at_ns),
        "why": cause_text(step.cause) or "now",
        "cause": {
            "kind": step.cause.kind.value,
            **filled({"datacenter": step.cause.datacenter, "steps": step.cause.steps}),
        },
        "moves": [
            {
                "subjects": [{"app": subject.app or None, "job": subject.job or None} for subject in movement.subjects],
                "unit": unit_text(movement.sticky),
                "moves": [
                    {"from": place_code(move.source), "to": place_code(move.target), "share": round(move.share, 6)}
                    for move in movement.moves
                ],
                "shares": {place_code(place): round(share, 6) for place, share in movement.shares},
            }
            for movement in step.movements
        ],
    }


def status_plain(status: Status) -> dict[str, Any]:
    """Return the status of a sidecar as `-o json` prints it."""
    outages = [_outage_plain(outage) for outage in status.outages]
    return {**asdict(status), "source_state": status.source_state.name, "outages": outages}


def update_plain(update: RouteUpdate) -> dict[str, Any]:
    """Return an update of routes as `-o json` prints it."""
    routes = [_route_plain(route) for route in update.routes]
    return {**asdict(update), "default": _route_plain(update.default), "routes": routes}


def _route_plain(route: AppRoute) -> dict[str, Any]:
    return {**asdict(route), "outages": [_outage_plain(outage) for outage in route.outages]}


def _outage_plain(outage: Outage) -> dict[str, Any]:
    fault = None if outage.fault is None else fault_plain(outage.fault)
    return {**asdict(outage), "kind": outage.kind.value if outage.kind else None, "fault": fault}
