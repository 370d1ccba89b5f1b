from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.client import Worker
from sidecar.routing.decision import Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.explain import Explanation, VerdictKind, explain
from sidecar.routing.explain_wording import key_text, origin_text, outcome_text, source_text, verdict_text
from sidecar.routing.location import NAME
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.yaml_reader import Tree, read

NOW = parse_time("2026-11-22T10:00:00Z") or 0
SERVING = {VerdictKind.SERVES, VerdictKind.SERVES_SHORT}
DOCUMENT = """
datacenters: {dc1: {cidrs: [10.1.0.0/16]}, dc2: {}, dc3: {available: false}}
default: {active: dc1, backups: [dc2], min_workers: 2}
apps:
  billing:
    split: {dc1: 90, dc2: 10, dc3: 0}
    jobs: {"1": dc3, "2": {on_empty: any}}
  moving: {ramp: {from: dc1, to: dc2, start: "2026-11-22T09:00:00Z", duration: 2h, steps: 4}, sticky: instance}
drills: [{datacenter: dc2, until: "2026-11-22T11:00:00Z", apps: [moving], reason: Q4}]
"""


def _tree(text: str) -> Tree:
    return text.strip() if NAME.fullmatch(text.strip()) else read(text, lambda: None)


def _explain(app: str, job: str = "", instance: str = "", text: str = DOCUMENT, **counts: int) -> Explanation:
    workers = [Worker(f"{name}-{number}", name) for name, count in counts.items() for number in range(count)]
    state = State(parse_document(text.encode()), generation=1, now_ns=NOW)
    return explain(state, _tree(text), app, job, instance, workers)


def _vectors() -> list[tuple[str, dict[str, Any]]]:
    entries = yaml.safe_load((Path(__file__).parents[2] / "vectors" / "decisions.yaml").read_text())
    return [(entry["document"], case) for entry in entries for case in entry["cases"]]


@pytest.mark.no_cover
def test_ends_in_what_decide_returns() -> None:
    """For every decision vector the explanation ends in the decision, and says of its datacenter that it serves."""
    for text, case in _vectors():
        state = State(parse_document(text.encode()), generation=1, now_ns=parse_time(case["now"]) or 0)
        asked = case["request"]
        workers = [Worker(**worker) for worker in asked["candidates"]]
        names = asked["app"], asked["job"], asked["instance"]
        explanation = explain(state, _tree(text), *names, workers)
        expected = decide(state, *names, workers)
        assert explanation.decision == expected
        serving = [choice.datacenter for choice in explanation.order if choice.verdict in SERVING]
        assert serving == ([expected.datacenter] if expected.datacenter else [])


def test_tells_where_each_key_is_from() -> None:
    """Each key names the route that says it: the job's, the application's, the default, or what is built in."""
    explanation = _explain("billing", "2")
    assert explanation.route == "apps.billing.jobs.2"
    assert {key.name: (key_text(key.value), origin_text(key)) for key in explanation.keys} == {
        "split": ("dc1 90, dc2 10, dc3 0", "apps.billing"),
        "backups": ("dc2", "default"),
        "min_workers": ("2", "default"),
        "on_empty": ("any", "apps.billing.jobs.2"),
        "sticky": ("job", "built in"),
    }


def test_bare_names_and_bare_documents() -> None:
    """A bare name is the `active` of where it stands."""
    assert origin_text(_explain("billing", "1").keys[0]) == "apps.billing.jobs.1"
    bare = _explain("x", text="dc2", dc2=1)
    assert (key_text(bare.keys[0].value), origin_text(bare.keys[0])) == ("dc2", "the document")
    assert bare.decision.reason is Reason.ACTIVE


def test_split_shows_scores_that_descend() -> None:
    """The datacenters of a split come by descending score, then the backups; weight 0 takes no part."""
    order = _explain("billing", "7", dc1=2, dc2=2).order
    assert {choice.datacenter for choice in order} == {"dc1", "dc2"}
    scores = [choice.score for choice in order if choice.score is not None]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_ramp_tells_its_step_and_the_drill() -> None:
    """A ramp half-way says so; a datacenter under a drill is out of service, with the reason; the run's id splits."""
    explanation = _explain("moving", "7", "run-1", dc1=2, dc2=2)
    assert key_text(explanation.keys[0].value) == "dc1 to dc2, step 2 of 4, from 2026-11-22T09:00:00Z over 2h"
    assert explanation.split_by == "run-1"
    verdicts = {choice.datacenter: verdict_text(choice) for choice in explanation.order}
    assert verdicts["dc2"] == "out of service (drill: Q4)"
    assert verdicts["dc1"] == "serves"


@pytest.mark.parametrize(
    ("app", "job", "counts", "verdicts", "outcome"),
    [
        ("x", "", {"dc1": 2}, ["serves", "cannot serve"], "dc1 is the active datacenter"),
        ("x", "", {"dc2": 2}, ["cannot serve", "serves"], "dc1 cannot serve; dc2 is the next that can"),
        ("x", "", {"dc1": 1, "dc2": 2}, ["fewer than min_workers 2", "serves"], "dc1 cannot serve; dc2"),
        ("x", "", {"dc1": 1}, ["serves with fewer than min_workers 2", "cannot serve"], "No datacenter has 2 workers"),
        ("x", "", {"dc1": 2, "dc2": 2}, ["serves", "not needed"], "dc1 is the active datacenter"),
        ("billing", "1", {"dc3": 2}, ["out of service (marked)", "cannot serve"], "on_empty: reject, so nobody"),
    ],
)
def test_verdicts_and_outcome(app: str, job: str, counts: dict[str, int], verdicts: list[str], outcome: str) -> None:
    """Each datacenter has its verdict, and the outcome is said in a sentence."""
    explanation = _explain(app, job, "", DOCUMENT, **counts)
    assert [verdict_text(choice) for choice in explanation.order] == verdicts
    assert outcome in outcome_text(explanation.outcome)


def test_unrouted_has_no_order() -> None:
    """Without a selector there is nothing to prefer, and every candidate passes."""
    explanation = _explain("x", text="{}", dc1=2)
    assert (explanation.route, explanation.order) == ("", ())
    assert explanation.decision.reason is Reason.UNROUTED
    assert "every candidate passes" in outcome_text(explanation.outcome)


def test_tells_what_located_each_candidate() -> None:
    """A candidate's datacenter comes with what told it."""
    state = State(parse_document(DOCUMENT.encode()), generation=1, now_ns=NOW)
    workers = [
        Worker("10.1.0.1:1"),
        Worker("x", "dc2"),
        Worker("y", metrics="dc2"),
        Worker("z", tag="dc3"),
        Worker("?"),
    ]
    located = explain(state, _tree(DOCUMENT), "x", "", "", workers).located
    assert [(worker.datacenter, source_text(worker.source)) for worker in located] == [
        ("dc1", "its address"),
        ("dc2", "the request"),
        ("dc2", "its metrics"),
        ("dc3", "its tag"),
        ("", ""),
    ]


@pytest.mark.no_cover
@settings(deadline=None)
@given(
    app=st.sampled_from(["billing", "moving", "x"]),
    job=st.sampled_from(["", "1", "2", "77"]),
    counts=st.dictionaries(st.sampled_from(["dc1", "dc2", "dc3", "dc9"]), st.integers(0, 3)),
)
def test_never_contradicts_the_decision(app: str, job: str, counts: dict[str, int]) -> None:
    """Whatever is asked, exactly the datacenter that the decision names is said to serve."""
    explanation = _explain(app, job, "", DOCUMENT, **counts)
    serving = [choice.datacenter for choice in explanation.order if choice.verdict in SERVING]
    assert serving == ([explanation.decision.datacenter] if explanation.decision.datacenter else [])
