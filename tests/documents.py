"""Random routing documents, requests and times for property tests, and the ways to spell a document."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import strategies as st

from sidecar.routing.scalars import SECOND_NS, format_time, parse_time

Plain = Any

NOON = parse_time("2026-11-22T12:00:00Z") or 0
DATACENTERS = ("dc1", "dc2", "dc3", "no", "3.10")
APPS = ("a", "7", "007", "on", "плата", "x y: z")
JOBS = ("1", "2", "1e3")

datacenters = st.sampled_from(DATACENTERS)
apps = st.sampled_from(APPS)
jobs = st.sampled_from(JOBS)
# Whole and broken minutes around noon, so that the edges of ramps and drills are hit often.
moments = st.integers(-240, 240).map(lambda half_minutes: NOON + half_minutes * 30 * SECOND_NS)
instants = moments | st.integers(NOON - 7200 * SECOND_NS, NOON + 7200 * SECOND_NS)
weights = st.sampled_from(["0", "1", "2", "10", "90", "0.5", "33.3"])


def _ramp(drawn: dict[str, Any]) -> Plain:
    source, target = drawn["ends"]
    return {"from": source, "to": target, **{key: value for key, value in drawn.items() if key != "ends"}}


ramps = st.fixed_dictionaries(
    {
        "ends": st.lists(datacenters, min_size=2, max_size=2, unique=True),
        "start": moments.map(format_time),
        "duration": st.sampled_from(["1m", "7m", "30s", "1h30m", "500ms", "1.5h", "1d"]),
    },
    optional={"steps": st.sampled_from(["1", "3", "7", "10000"])},
).map(_ramp)

selectors = st.one_of(
    st.just({}),
    st.builds(lambda name: {"active": name}, datacenters),
    st.builds(
        lambda split: {"split": split},
        st.dictionaries(datacenters, weights, min_size=1, max_size=4).filter(
            lambda split: any(float(weight) for weight in split.values())
        ),
    ),
    st.builds(lambda ramp: {"ramp": ramp}, ramps),
)


def routes(extra: dict[str, st.SearchStrategy[Plain]] | None = None) -> st.SearchStrategy[Plain]:
    """Return routes: bare names, or mappings with any of the keys and those of `extra`."""
    rest = st.fixed_dictionaries(
        {},
        optional={
            "backups": st.lists(datacenters, max_size=3, unique=True),
            "min_workers": st.sampled_from(["1", "2", "3"]),
            "on_empty": st.sampled_from(["any", "reject"]),
            "sticky": st.sampled_from(["job", "instance"]),
            **(extra or {}),
        },
    )
    return datacenters | st.builds(lambda selector, keys: {**selector, **keys}, selectors, rest)


drills = st.builds(
    lambda drill, edges, has_start: (
        drill | ({"start": format_time(min(edges))} if has_start else {}) | {"until": format_time(max(edges))}
    ),
    st.fixed_dictionaries(
        {"datacenter": datacenters},
        optional={"apps": st.lists(apps, min_size=1, max_size=2, unique=True), "reason": st.text(max_size=5)},
    ),
    st.lists(moments, min_size=2, max_size=2, unique=True),
    st.booleans(),
)
NETWORKS = ("10.1.0.0/16", "10.1.128.0/17", "10.2.0.0/16", "0.0.0.0/0", "fd00:1::/32", "10.1.200.1")


def _blocks(owners: dict[str, str], marked: set[str], has_cidrs: bool) -> Plain:
    block: dict[str, Any] = {name: {} for name in DATACENTERS}
    for name in marked:
        block[name]["available"] = "false"
    for network, owner in owners.items() if has_cidrs else ():
        block[owner].setdefault("cidrs", []).append(network)
    return block


blocks = st.builds(
    _blocks,
    st.dictionaries(st.sampled_from(NETWORKS), datacenters, max_size=5),
    st.sets(datacenters, max_size=2),
    st.booleans(),
) | st.just(list(DATACENTERS))

worker_rules = st.fixed_dictionaries(
    {
        "match": st.sampled_from(
            [
                "10.1.200.1:1",
                "10.1.*",
                "*:1",
                "10.1.0.0/16",
                "fd00:1::/32",
                "[fd00:1::5]:1",
                "host:1",
                "h*",
                "10.9.0.0/16",
            ]
        )
    },
    optional={"available": st.sampled_from(["true", "false"]), "reason": st.just("disk")},
)

documents = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just("1"),
        "datacenters": blocks,
        "default": routes(),
        "apps": st.dictionaries(
            apps, routes({"jobs": st.dictionaries(jobs, routes(), min_size=1, max_size=2)}), max_size=4
        ),
        "drills": st.lists(drills, max_size=3),
        "workers": st.lists(worker_rules, max_size=3, unique_by=lambda rule: rule["match"]),
        "meta": st.just({"by": "lin", "notes": ["a", {"b": "c"}]}),
    },
)

workers = st.fixed_dictionaries(
    {
        "address": st.sampled_from(
            [
                "10.1.0.1:27777",
                "10.1.200.1:1",
                "10.2.0.1",
                "[fd00:1::5]:1",
                "fd00:1::6",
                "[::ffff:10.1.0.9]:1",
                "host:1",
                "",
            ]
        )
    },
    optional={
        "datacenter": datacenters | st.sampled_from(["", "elsewhere"]),
        "metrics": datacenters
        | st.sampled_from(
            ["", " dc1\n", '{"datacenter": "dc2"}', '{"datacenter": 1}', "{", "cpu 0.3", '"dc1"', "[]", "7"]
        ),
        "tag": st.sampled_from(["", "gpu", "gpu, dc1", "dc3,dc1", ",,"]),
    },
)
requests = st.fixed_dictionaries(
    {
        "app": apps,
        "job": jobs | st.just(""),
        "instance": st.sampled_from(["", "900", "901"]),
        "candidates": st.lists(workers, max_size=8),
    },
    optional={"app_aliases": st.lists(apps, max_size=2)},
)


def as_json(document: Plain) -> str:
    """Return the document as JSON."""
    return json.dumps(document, ensure_ascii=False)


def as_yaml(document: Plain, *, flow: bool = False, style: str | None = None) -> str:
    """Return the document as YAML: its scalars plain where that can be, or in the quotes of `style`."""
    events = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False)]
    _walk(document, events, flow, style)
    events += [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
    return str(yaml.emit(events, allow_unicode=True, width=100_000))


def _walk(value: Plain, events: list[Any], flow: bool, style: str | None) -> None:
    implicit = (True, True)
    if isinstance(value, str):
        events.append(yaml.ScalarEvent(None, None, implicit, value, style=style))
    elif isinstance(value, list):
        events.append(yaml.SequenceStartEvent(None, None, True, flow_style=flow))
        for item in value:
            _walk(item, events, flow, style)
        events.append(yaml.SequenceEndEvent())
    else:
        events.append(yaml.MappingStartEvent(None, None, True, flow_style=flow))
        for key, item in value.items():
            _walk(key, events, flow, style)
            _walk(item, events, flow, style)
        events.append(yaml.MappingEndEvent())
