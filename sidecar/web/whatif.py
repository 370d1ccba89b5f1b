"""The decision for a request that is typed in, and the steps of the rules, under the State in force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sidecar.errors import BadRequest
from sidecar.gil import Yielder
from sidecar.routing.candidates import parse_counts
from sidecar.routing.document import read_tree
from sidecar.routing.explain import explain
from sidecar.routing.explain_plain import explanation_plain
from sidecar.routing.state import State

_MAX_NAME = 256


def what_if(state: State, text: bytes, app: str, job: str, instance: str, counts: str) -> dict[str, Any]:
    """Return the decision and its steps as JSON, with workers by counts such as `dc1=3,dc2=2`.

    `text` is the document's. Raises BadRequest. Not for the event loop, and not for two requests at once: the workers
    of one may take megabytes.
    """
    if not app:
        raise BadRequest("app", "found nothing, expected the application's id or name")
    for field, name in (("app", app), ("job", job), ("instance", instance)):
        if len(name) > _MAX_NAME:
            raise BadRequest(field, f"found {len(name)} characters, expected at most {_MAX_NAME}")
    # The text is the one in force: its length was judged when it was taken over.
    checkpoint = Yielder()
    workers = parse_counts(counts, checkpoint=checkpoint)
    tree = read_tree(text, max_bytes=len(text), checkpoint=checkpoint)
    explanation = explain(state, tree, app, job, instance, workers, checkpoint=checkpoint)
    decision = explanation.decision
    # Where each candidate is was typed in.
    steps = explanation_plain(replace(explanation, located=()))
    del steps["located"]
    return {
        "revision": state.document.revision,
        "generation": state.generation,
        **steps,
        "decision": {
            "reason": decision.reason.name,
            "datacenter": decision.datacenter,
            "selected": len(decision.indices),
            "candidates": len(workers),
        },
    }
