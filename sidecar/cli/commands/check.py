"""`dc-sidecar check`: list the errors in a routing document, and warnings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import BinaryIO

import click

from sidecar.cli.options.flags import output_option
from sidecar.cli.options.values import SIZE, TIME
from sidecar.cli.options.zone import utc_option
from sidecar.cli.render import Style, print_json, print_lines, say, styled
from sidecar.errors import Problem
from sidecar.footprint import NACOS_CLIENT, document_budget
from sidecar.memory import process_share
from sidecar.routing.lint import warnings
from sidecar.routing.model import RoutingDocument
from sidecar.routing.parsed_text import ParsedText, parse_text

_EPILOG = """\b
Examples:
  dc-sidecar check routing.yaml
  dc-sidecar check --strict -o json routing.yaml
  dc-sidecar check --max-memory 128MiB --workers 2 routing.yaml
  git show HEAD:routing.yaml | dc-sidecar check -"""


@click.command("check", epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--max-document-size", type=SIZE, default="1MiB", show_default=True, help="Maximum document size.")
@click.option(
    "--max-memory", type=SIZE, help="Memory of the sidecar, as in `serve`; a document must fit into it.  [default: any]"
)
@click.option("--nacos", is_flag=True, help="The source is Nacos: its client takes 64 MiB of --max-memory.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Worker processes of the sidecar, as in `serve`: with more than one, they and the first process have equal "
    "shares of --max-memory.",
)
@click.option("--now", type=TIME, help="Check as of this time.  [default: now]")
@utc_option
@output_option
def command(
    file: BinaryIO,
    *,
    strict: bool,
    max_document_size: int,
    max_memory: int | None,
    nacos: bool,
    workers: int,
    now: int | None,
    output: str,
) -> int:
    """Check the routing document in FILE (- for standard input).

    Prints every problem as FILE:LINE:COLUMN: path: message, and warnings for
    entries that are valid but unusual. Exits with 1 if there is a problem.
    """
    share = None if max_memory is None else process_share(max_memory, workers)
    budget = document_budget(share, beside=NACOS_CLIENT if nacos else 0)
    parsed = parse_text(file.read(), max_bytes=max_document_size, budget=budget)
    problems = parsed.refusal.problems if parsed.refusal else ()
    odd = warnings(parsed, time.time_ns() if now is None else now)
    name = "-" if file.name == "<stdin>" else str(file.name)
    if output == "json":
        counts = _counts(parsed.document) if parsed.document else None
        report = {"file": name, "valid": not problems, "revision": parsed.revision, "counts": counts}
        print_json({**report, "problems": [*map(asdict, problems)], "warnings": [*map(asdict, odd)]})
    else:
        _print(name, problems, "")
        _print(name, odd, styled("warning", Style.YELLOW) + ": ")
        say(f"{name}: {_verdict(parsed, problems, odd)}")
    return 1 if problems or (strict and odd) else 0


def _print(name: str, found: Sequence[Problem], word: str) -> None:
    for problem in found:
        place = "" if problem.line is None else f"{problem.line}:{problem.column}:"
        path = f"{problem.path}: " if problem.path else ""
        print_lines([f"{name}:{place} {word}{path}{problem.message}"])


def _verdict(parsed: ParsedText, problems: Sequence[Problem], odd: Sequence[Problem]) -> str:
    if parsed.document is None:
        return f"invalid, {_number(len(problems), 'problem')}"
    counts = ", ".join(
        _number(count, what.removesuffix("s")) for what, count in _counts(parsed.document).items() if count
    )
    doubts = f", {_number(len(odd), 'warning')}" if odd else ""
    return f"valid{doubts}; revision {parsed.revision}{', ' if counts else ''}{counts}"


def _counts(document: RoutingDocument) -> dict[str, int]:
    return {
        "datacenters": len(document.datacenters or ()),
        "applications": len(document.apps),
        "jobs": sum(len(application.jobs) for application in document.apps.values()),
        "drills": len(document.drills),
    }


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
