"""An explanation as JSON carries it: codes with their parameters, beside the English texts."""

from __future__ import annotations

from sidecar.routing.explain import (
    Explanation,
    KeyValue,
    Outcome,
    RampPosition,
    RankedDatacenter,
    RouteKey,
    VerdictKind,
)
from sidecar.routing.explain_wording import key_text, origin_text, outcome_text, source_text, verdict_text
from sidecar.routing.model import Active, Split
from sidecar.routing.plain import Plain, aspect_plain, filled, outage_plain, ramp_plain
from sidecar.routing.wording import outage_text


def explanation_plain(explanation: Explanation) -> Plain:
    """Return all of an explanation but its decision."""
    return {
        "app": explanation.app,
        "job": explanation.job,
        "instance": explanation.instance,
        "route": explanation.route,
        "by_default_route": explanation.by_default_route,
        "keys": [_key_plain(key) for key in explanation.keys],
        "located": [
            {
                "address": worker.address,
                "datacenter": worker.datacenter,
                "source": source_text(worker.source),
                "source_kind": worker.source.value if worker.source else None,
                "drained": worker.drained,
            }
            for worker in explanation.located
        ],
        "split_by": explanation.split_by,
        "order": [_choice_plain(choice) for choice in explanation.order],
        "outcome": outcome_text(explanation.outcome),
        "outcome_detail": _outcome_plain(explanation.outcome),
    }


def _key_plain(key: RouteKey) -> Plain:
    return {
        "name": key.name,
        "value": key_text(key.value),
        "value_detail": _value_plain(key.value),
        "origin": origin_text(key),
        "origin_kind": key.origin.value,
    }


def _value_plain(value: KeyValue) -> Plain:
    match value:
        case Active(datacenter):
            return {"active": datacenter}
        case Split(weights):
            return {"split": dict(weights)}
        case RampPosition(ramp, step):
            return {"ramp": {**ramp_plain(ramp), "step": step}}
        case _:
            return aspect_plain(value)


def _choice_plain(choice: RankedDatacenter) -> Plain:
    out = choice.outage if choice.verdict is VerdictKind.OUT_OF_SERVICE else None
    return {
        "datacenter": choice.datacenter,
        "weight": choice.weight,
        "score": choice.score,
        "workers": choice.workers,
        "needed": choice.needed,
        "out": "" if out is None else outage_text(out),
        "outage": None if choice.outage is None else outage_plain(choice.outage),
        "verdict": verdict_text(choice),
        "verdict_kind": choice.verdict.value,
    }


def _outcome_plain(outcome: Outcome) -> Plain:
    return {
        "kind": outcome.kind.value,
        **filled(
            {
                "datacenter": outcome.datacenter,
                "preferred": outcome.preferred,
                "outage": outage_plain(outcome.outage) if outcome.outage else None,
                "needed": outcome.needed,
            }
        ),
    }
