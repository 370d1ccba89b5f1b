"""The JSON Schema (2020-12) of the routing document, for completion and checks in editors.

It accepts what the sidecar accepts, as far as a schema can: every scalar may be written with or without quotes.
"""

from __future__ import annotations

from typing import Any

from sidecar.routing.drains import MAX_RULES
from sidecar.routing.fields import MAX_DATACENTERS
from sidecar.routing.free_content import MAX_META_ENTRIES, MAX_REASON
from sidecar.routing.health_checks import MAX_PROBES
from sidecar.routing.location import NAME
from sidecar.routing.model import MAX_OBSERVATIONS

Schema = dict[str, Any]

_FREE_NAME = r"^[^\u0000-\u001f\u007f-\u009f]{1,256}$"
_HOUR = "([01][0-9]|2[0-3])"
_TIME = (
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]"
    rf"{_HOUR}:[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,30}})?([Zz]|[-+]{_HOUR}:[0-5][0-9])$"
)
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"
_DURATION = "^(?=.*[1-9])(?=.)" + "".join(f"({_AMOUNT}{unit})?" for unit in ("d", "h", "m", "s", "ms")) + "$"
_DECIMAL = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
_LARGEST = 1.7976931348623157e308
_ZERO = r"^[-+]?(0+(\.0*)?|\.0+)([eE][-+]?[0-9]+)?$"
_ADDRESS = r"^([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
_NETWORK = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}(/([0-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f.:]*:[0-9A-Fa-f.:]*(/[0-9]{1,3})?)$"


def schema() -> Schema:
    """Return the schema as plain values."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dc-sidecar routing document",
        "description": "In which datacenter the jobs of which application run: a datacenter's name, or a mapping.",
        "anyOf": [_ref("name"), _ref("document")],
        "$defs": {
            "document": _document(),
            "datacenters": _datacenters(),
            "defaultRoute": _route("The route of every application that has none of its own."),
            "appRoute": _route("The route of an application. It inherits each key it lacks from `default`.", jobs=True),
            "jobRoute": _route("The route of one job. It inherits each key it lacks from its application."),
            "split": _split(),
            "ramp": _ramp(),
            "drill": _drill(),
            "worker": _worker(),
            "names": {"type": "array", "items": _ref("name"), "uniqueItems": True, "maxItems": MAX_DATACENTERS},
            "name": _name(),
            "time": _text(_TIME, "A time with an offset, such as 2026-11-22T10:00:00Z (RFC 3339)."),
            "weight": _weight(),
        },
    }


def _document() -> Schema:
    apps = {"type": "object", "propertyNames": _free_name(), "additionalProperties": _ref("appRoute")}
    return _object(
        "A routing document.",
        {
            "version": {"enum": [1, "1"], "description": "The version of the format; 1 is the only one."},
            "meta": {
                "type": "object",
                "maxProperties": MAX_META_ENTRIES,
                "description": "Free: who changed the document, when, why. Shown and audited.",
                "examples": [{"by": "lin", "reason": "DC1 cooling fails", "ticket": "OPS-417"}],
            },
            "datacenters": _ref("datacenters"),
            "default": _ref("defaultRoute"),
            "apps": apps | {"description": "The routes of applications, by id or name."},
            "drills": {
                "type": "array",
                "items": _ref("drill"),
                "description": "Times in which datacenters count as lost.",
            },
            "workers": {
                "type": "array",
                "items": _ref("worker"),
                "maxItems": MAX_RULES,
                "uniqueItems": True,
                "description": "Workers that are drained: they get no work and count as not there.",
            },
            "signatures": {
                "type": "object",
                "description": "The signatures of a JSON document, its last member: written by `dc-sidecar sign`.",
            },
        },
    )


def _worker() -> Schema:
    entry = _object(
        "A worker, or all that match.",
        {
            "match": _text(
                r"^(?=.{1,256}$)([!-)+-~]+\*?|\*[!-)+-~]+)$",
                "An address, a network, or a pattern with one * at its begin or end, such as 10.1.0.7:*.",
            ),
            "available": {
                "enum": [True, False, "true", "false"],
                "description": "false: drained. Default true.",
            },
            "reason": {
                "type": ["string", "number", "boolean", "null"],
                "maxLength": MAX_REASON,
                "description": "Why, for those who look later.",
            },
        },
    )
    return entry | {"required": ["match"]}


def _datacenters() -> Schema:
    network = _text(_NETWORK, "A network such as 10.1.0.0/16 or fd00:1::/32.")
    entry = _object(
        "The settings of a datacenter; {} for none.",
        {
            "cidrs": {"type": "array", "items": network, "description": "The networks of its workers."},
            "available": {
                "enum": [True, False, "true", "false"],
                "description": "false: out of service. Default true.",
            },
            **_checks(),
        },
    )
    return {
        "description": "All datacenters. With this block, no other name is allowed in the document.",
        "anyOf": [
            _ref("names"),
            {
                "type": "object",
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": entry,
                "maxProperties": MAX_DATACENTERS,
            },
        ],
    }


def _checks() -> Schema:
    address = _text(_ADDRESS, "A host and a port such as gw.dc1:443.")
    kinds: list[Schema] = [
        _object("A connection that must be taken.", {"tcp": address}) | {"required": ["tcp"]},
        _object(
            "A request that must be answered as expected.",
            {
                "http": _text(r"^https?://[^\s@/][^\s@]*$", "A URL such as http://gw.dc1:8080/healthz."),
                "expect": _whole(100, 599, "[1-5][0-9]{2}", "The status that is a success. Default 200."),
            },
        )
        | {"required": ["http"]},
        _object(
            "A call of gRPC's health service that must be answered SERVING.",
            {"grpc": address, "service": {"type": "string", "description": "The service asked for. Default all."}},
        )
        | {"required": ["grpc"]},
    ]
    return {
        "probes": {
            "type": "array",
            "items": {"anyOf": kinds},
            "minItems": 1,
            "maxItems": MAX_PROBES,
            "uniqueItems": True,
            "description": "The datacenter's health checks. --probe-hosts permits hosts to be probed.",
        },
        "interval": _text(_DURATION, "How often each probe is made. Default 5s."),
        "timeout": _text(_DURATION, "How long one may take. Default 2s."),
        "fall": _whole(1, 100, "[1-9][0-9]?|100", "A probe is down after so many failures in a row. Default 3."),
        "rise": _whole(1, 100, "[1-9][0-9]?|100", "A probe is up again after so many successes in a row. Default 2."),
        "must_pass": _whole(
            1, MAX_PROBES, f"[1-{MAX_PROBES}]", "The datacenter is down while fewer probes are up. Default all of them."
        ),
    }


def _route(description: str, *, jobs: bool = False) -> Schema:
    keys: Schema = {
        "active": _ref("name", "The datacenter that runs the jobs."),
        "split": _ref("split"),
        "ramp": _ref("ramp"),
        "backups": _ref("names", "Where jobs run when the datacenter has no workers or is out of service, in order."),
        "min_workers": _count(
            2**32 - 1,
            "[1-9][0-9]{0,9}",
            "With fewer live workers than this a datacenter counts as unavailable. Default 1.",
        ),
        "on_empty": {
            "enum": ["reject", "any"],
            "description": "When none of the route's datacenters has workers: nobody (reject, default), or any worker.",
        },
        "sticky": {
            "enum": ["job", "instance"],
            "description": "What a split keeps together: all runs of a job (default), or each run by itself.",
        },
    }
    keys["failover"] = _failover()
    if jobs:
        keys["jobs"] = {
            "type": "object",
            "propertyNames": _free_name(),
            "additionalProperties": _ref("jobRoute"),
            "description": "Routes of single jobs, by job id.",
        }
    selectors = ("active", "split", "ramp")
    exclusive = {one: {"properties": {other: False for other in selectors if other != one}} for one in selectors}
    full = _object("A whole route: one of active, split and ramp at most.", keys) | {"dependentSchemas": exclusive}
    return {"description": f"{description} A bare name sets `active`.", "anyOf": [_ref("name"), full]}


def _failover() -> Schema:
    keys: Schema = {
        "after": _text(_DURATION, "How long a fault must last until work leaves. Default: at once."),
        "back_after": _text(_DURATION, "How long it must be over until work returns. Default: at once."),
        "back": {"enum": ["auto", "manual"], "description": "Return by itself (default), or by dc-sidecar failback."},
        "failed_back": _ref("time", "When an operator sent work back."),
        "observations": _whole(
            1,
            MAX_OBSERVATIONS,
            f"[1-9][0-9]?|{MAX_OBSERVATIONS}",
            "Dispatches that must show a fault or its end. Default 3.",
        ),
    }
    return _object("How long faults last before work leaves a datacenter, and how it returns.", keys)


def _split() -> Schema:
    zero = {"anyOf": [{"const": 0}, {"type": "string", "pattern": _ZERO}]}
    return {
        "type": "object",
        "description": "Weights of datacenters, such as {dc1: 90, dc2: 10}; they need not add up to 100.",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": _ref("weight"),
        "minProperties": 1,
        "maxProperties": MAX_DATACENTERS,
        "not": {"additionalProperties": zero},
    }


def _weight() -> Schema:
    return {
        "description": "A share: a number, 0 or more, without a unit.",
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": _LARGEST},
            {"type": "string", "pattern": rf"^(\+?{_DECIMAL}|-(0+(\.0*)?|\.0+)([eE][-+]?[0-9]+)?)$"},
        ],
    }


def _ramp() -> Schema:
    keys: Schema = {
        "from": _ref("name", "Where the jobs run before."),
        "to": _ref("name", "Where they run after."),
        "start": _ref("time"),
        "duration": _text(_DURATION, "How long the move takes: d, h, m, s, ms, the largest first, such as 1h30m."),
        "steps": _count(10_000, "[1-9][0-9]{0,3}|10000", "In how many steps. Default 10."),
    }
    required = ["from", "to", "start", "duration"]
    return _object("A move from one datacenter to another, step by step, by the clock.", keys) | {"required": required}


def _drill() -> Schema:
    keys: Schema = {
        "datacenter": _ref("name", "The datacenter that counts as lost."),
        "start": _ref("time", "When it begins; left out, it is on already."),
        "until": _ref("time", "When it ends, by itself."),
        "apps": {
            "type": "array",
            "items": _free_name(),
            "minItems": 1,
            "uniqueItems": True,
            "description": "For these applications only; left out, for all.",
        },
        "reason": {
            "type": ["string", "number", "boolean"],
            "maxLength": MAX_REASON,
            "description": "Why; shown wherever the drill shows.",
        },
    }
    return _object("A time in which a datacenter counts as lost.", keys) | {"required": ["datacenter", "until"]}


def _object(description: str, properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties, "additionalProperties": False}


def _ref(name: str, description: str = "") -> Schema:
    reference = {"$ref": f"#/$defs/{name}"}
    return reference | {"description": description} if description else reference


def _text(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": description}


def _count(most: int, digits: str, description: str) -> Schema:
    return _whole(1, most, digits, description)


def _whole(least: int, most: int, digits: str, description: str) -> Schema:
    """Return the schema of a whole number, which as a text has these `digits`."""
    number = {"type": "integer", "minimum": least, "maximum": most}
    return {"anyOf": [number, {"type": "string", "pattern": rf"^\+?0*({digits})$"}], "description": description}


def _name() -> Schema:
    description = "A datacenter: 1 to 63 of A-Z a-z 0-9 . _ -, the first a letter or digit."
    # Unquoted, 7 and true are names too, which an editor takes for a number and a boolean.
    scalars: list[Schema] = [{"type": "string", "pattern": f"^{NAME.pattern}$"}, {"type": ["number", "boolean"]}]
    return {"description": description, "anyOf": scalars}


def _free_name() -> Schema:
    scalars: list[Schema] = [{"type": "string", "pattern": _FREE_NAME}, {"type": ["number", "boolean"]}]
    return {"description": "An application or a job: 1 to 256 characters, no control characters.", "anyOf": scalars}
