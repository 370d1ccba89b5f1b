"""`dc-sidecar check`: all that is wrong with a routing document, and what is odd about it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import BinaryIO

import click

from sidecar.cli.inputs import LENGTH, TIME
from sidecar.cli.output import output_option, print_json, say
from sidecar.errors import DocumentRejected, Problem
from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.lint import warnings
from sidecar.routing.model import RoutingDocument

_EPILOG = """\b
Examples:
  dc-sidecar check routing.yaml
  dc-sidecar check --strict -o json routing.yaml
  git show HEAD:routing.yaml | dc-sidecar check -"""


@click.command("check", epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--strict", is_flag=True, help="Take warnings for problems.")
@click.option("--max-document-size", type=LENGTH, default="1MiB", show_default=True, help="Refuse longer documents.")
@click.option("--now", type=TIME, help="Judge as of this time.  [default: the clock's]")
@output_option
def command(file: BinaryIO, *, strict: bool, max_document_size: int, now: int | None, output: str) -> None:
    """Check a routing document: FILE, or - for standard input.

    Prints every problem, as FILE:LINE:COLUMN: path: message, and warns of what
    is legal but odd. Exits with 1 if there is a problem.
    """
    text = file.read()
    problems: tuple[Problem, ...] = ()
    odd: tuple[Problem, ...] = ()
    document = None
    try:
        document = parse_document(text, max_bytes=max_document_size)
        odd = warnings(text, document, time.time_ns() if now is None else now)
    except DocumentRejected as error:
        problems = error.problems
    name = "-" if file.name == "<stdin>" else str(file.name)
    if output == "json":
        counts = _counts(document) if document else None
        report = {"file": name, "valid": document is not None, "revision": revision_of(text), "counts": counts}
        print_json({**report, "problems": [*map(asdict, problems)], "warnings": [*map(asdict, odd)]})
    else:
        _print(name, problems, "")
        _print(name, odd, click.style("warning", fg="yellow") + ": ")
        say(_verdict(name, text, document, problems, odd))
    click.get_current_context().exit(1 if problems or (strict and odd) else 0)


def _print(name: str, found: Sequence[Problem], word: str) -> None:
    for problem in found:
        path = f"{problem.path}: " if problem.path else ""
        click.echo(f"{name}:{problem.line}:{problem.column}: {word}{path}{problem.message}")


def _verdict(
    name: str, text: bytes, document: RoutingDocument | None, problems: Sequence[Problem], odd: Sequence[Problem]
) -> str:
    if document is None:
        return f"{name}: refused, {_number(len(problems), 'problem')}"
    counts = ", ".join(_number(count, what.removesuffix("s")) for what, count in _counts(document).items() if count)
    doubts = f", {_number(len(odd), 'warning')}" if odd else ""
    return f"{name}: good{doubts}; revision {revision_of(text)}{', ' if counts else ''}{counts}"


def _counts(document: RoutingDocument) -> dict[str, int]:
    return {
        "datacenters": len(document.datacenters or ()),
        "applications": len(document.apps),
        "jobs": sum(len(application.jobs) for application in document.apps.values()),
        "drills": len(document.drills),
    }


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
