"""The decision for a request that is typed in, and the steps of the rules, under the State in force."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sidecar.errors import BadRequest
from sidecar.gil import Yielder
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.explain import explain
from sidecar.routing.explain_plain import explanation_plain
from sidecar.routing.location import NAME
from sidecar.routing.state import State
from sidecar.yaml_reader import read

_COUNT = re.compile(rf"({NAME.pattern})=([0-9]{{1,4}})")
_MAX_CANDIDATES = 2000
_MAX_NAME = 256


def candidates(text: str) -> list[pb.Worker]:
    """Return the workers that counts such as `dc1=3,dc2=2` stand for. Raises BadRequest."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _COUNT.fullmatch(part)
        if match is None:
            raise BadRequest("candidates", f"found {part[:_MAX_NAME]!r}, expected counts such as dc1=3,dc2=2")
        found.append((match[1], int(match[2])))
    if sum(count for _, count in found) > _MAX_CANDIDATES:
        raise BadRequest("candidates", f"found more than {_MAX_CANDIDATES}, expected at most {_MAX_CANDIDATES}")
    return [pb.Worker(address=f"{name}-{n}", datacenter=name) for name, count in found for n in range(1, count + 1)]


def what_if(
    state: State, text: bytes, app: str, job: str, instance: str, workers: Sequence[pb.Worker]
) -> dict[str, Any]:
    """Return the decision and what led to it as JSON; `text` is the document's. Raises BadRequest. Not for the loop."""
    if not app:
        raise BadRequest("app", "found nothing, expected the application's id or name")
    for field, name in (("app", app), ("job", job), ("instance", instance)):
        if len(name) > _MAX_NAME:
            raise BadRequest(field, f"found {len(name)} characters, expected at most {_MAX_NAME}")
    decoded = text.decode().removeprefix("\ufeff")
    bare = decoded.strip()
    tree = bare if NAME.fullmatch(bare) else read(decoded, Yielder())
    explanation = explain(state, tree, app, job, instance, workers)
    decision = explanation.decision
    steps = explanation_plain(explanation)
    # Where each candidate is was typed in.
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
