"""`dc-sidecar explain`: show how the rules come to a decision, without a sidecar."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import click

from sidecar.cli.options.flags import output_option
from sidecar.cli.options.values import CANDIDATES_HELP, TIME, CandidatesParam
from sidecar.cli.options.zone import utc_option
from sidecar.cli.render import Style, columns, dim, print_json, print_lines, styled
from sidecar.routing.candidates import Worker
from sidecar.routing.document import document_of, read_tree
from sidecar.routing.explain import Explanation, RankedDatacenter, explain
from sidecar.routing.explain_plain import explanation_plain
from sidecar.routing.explain_wording import key_text, origin_text, outcome_text, source_text, verdict_text
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State

_SHOWN = 10

_EPILOG = """\b
Examples:
  dc-sidecar explain routing.yaml --app billing --job 7 --candidates dc1=3
  dc-sidecar explain routing.yaml --app billing --candidates workers.json \\
    --now 2026-11-22T14:30:00Z"""


@click.command("explain", epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--app", required=True, metavar="APP", help="The application, by id or name.")
@click.option("--job", default="", metavar="ID", help="The job's id.")
@click.option("--instance", default="", metavar="ID", help="The id of this run of the job.")
@click.option("--alias", "aliases", multiple=True, metavar="APP", help="Another name of the application. Repeatable.")
@click.option("--candidates", type=CandidatesParam(), required=True, help=CANDIDATES_HELP)
@click.option("--now", type=TIME, help="Decide as of this time.  [default: now]")
@utc_option
@output_option
def command(
    file: BinaryIO,
    *,
    app: str,
    job: str,
    instance: str,
    aliases: tuple[str, ...],
    candidates: tuple[Worker, ...],
    now: int | None,
    output: str,
) -> None:
    """Explain step by step what a routing document decides.

    FILE is the document (- for standard input). Health checks are unknown
    here: only a running sidecar has them (`dc-sidecar filter`).
    """
    text = file.read()
    moment = time.time_ns() if now is None else now
    tree = read_tree(text)
    state = State(document_of(text, tree), generation=1, now_ns=moment)
    explanation = explain(state, tree, app, job, instance, candidates, aliases)
    if output == "json":
        decision = explanation.decision
        answer = {
            "reason": decision.reason.name,
            "datacenter": decision.datacenter,
            "indices": list(decision.indices),
            "addresses": [candidates[index].address for index in decision.indices],
        }
        head = {"revision": state.document.revision, "now": format_time(moment)}
        print_json({**head, **explanation_plain(explanation), "decision": answer})
    else:
        print_lines(_lines(explanation, candidates))


def _lines(explanation: Explanation, candidates: Sequence[Worker]) -> Iterator[str]:
    who = explanation.app + (f", job {explanation.job}" if explanation.job else "")
    where = f"written at {explanation.route}" if explanation.route else "not in the document, built-in values apply"
    if explanation.by_default_route:
        where = f"by the default route, as the document does not name {explanation.app}; {where}"
    yield f"1. The route of {who}: {where}"
    yield from columns(
        [(f"     {key.name}", key_text(key.value), dim(f"({origin_text(key)})")) for key in explanation.keys]
    )
    yield f"2. Where the {len(candidates)} candidates are"
    counts = Counter((worker.datacenter, worker.source) for worker in explanation.located if not worker.drained)
    yield from columns(
        [
            (f"     {name or '(unknown)'}", str(count), dim(f"(by {source_text(source)})" if source else "(no match)"))
            for (name, source), count in counts.items()
        ]
    )
    drained = [worker.address for worker in explanation.located if worker.drained]
    if drained:
        more = f" and {len(drained) - _SHOWN} more" if len(drained) > _SHOWN else ""
        yield f"     {len(drained)} drained, so not there: {', '.join(drained[:_SHOWN])}{more}"
    if explanation.order:
        key = explanation.split_by
        yield "3. The datacenters in order of preference" + (
            f", scores by application {explanation.scored_as} and id {key!r}" if key else ""
        )
        yield from columns(
            [_choice(number, choice, explanation.keys[0].name) for number, choice in enumerate(explanation.order, 1)]
        )
    decision = explanation.decision
    yield f"{'4' if explanation.order else '3'}. {outcome_text(explanation.outcome)}"
    answer = f"{decision.reason.name}, {len(decision.indices)} of {len(candidates)} candidates"
    yield styled(f"   {decision.datacenter + ': ' if decision.datacenter else ''}{answer}", Style.BOLD)
    for index in decision.indices[:_SHOWN]:
        yield f"     {candidates[index].address}"
    if len(decision.indices) > _SHOWN:
        yield f"     and {len(decision.indices) - _SHOWN:,} more"


def _choice(number: int, choice: RankedDatacenter, selector: str) -> tuple[str, ...]:
    if choice.weight is None:
        role = "backup"
    elif choice.score is None:
        role = selector
    else:
        role = f"weight {choice.weight:g}, score {choice.score:.4g}"
    workers = f"{choice.workers} worker{'' if choice.workers == 1 else 's'}"
    return f"     {number}. {choice.datacenter}", role, workers, verdict_text(choice)
