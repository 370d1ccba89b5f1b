"""A second, naive implementation of docs/decision-rules.md, without failover with patience and probes.

It uses nothing of `sidecar`: where the two disagree, one of them has misread the rules. It is written to be compared
with the rules line by line, so it caches nothing and is not optimised.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import yaml

Plain = Any
DATACENTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
UNITS = {"d": Fraction(86400), "h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class RefusedError(Exception):
    """The text is no routing document."""


def _need(condition: object, why: str) -> None:
    if not condition:
        raise RefusedError(why)


# The text: what YAML says, each scalar as it is written, nothing twice.


def _read(text: str) -> Plain:
    text = text.removeprefix("\ufeff")
    bare = text.strip()
    _need(bare, "nothing there")
    # Blanks around JSON and around a bare word mean nothing; those before a line of block YAML are its indentation.
    if bare[0] in "{[" or "\n" not in bare:
        text = bare
    try:
        events = list(yaml.parse(text, Loader=yaml.BaseLoader))
        _need(sum(isinstance(e, yaml.DocumentStartEvent) for e in events) == 1, "several documents")
        depth = 0
        for event in events:
            _need(not isinstance(event, yaml.AliasEvent), "an alias")
            _need(getattr(event, "tag", None) is None, "a tag")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            _need(depth <= 16, "too deep")
        return _plain(yaml.compose(text, Loader=yaml.BaseLoader))
    except yaml.YAMLError as error:
        raise RefusedError(str(error)) from None


def _plain(node: yaml.Node | None) -> Plain:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    assert isinstance(node, yaml.MappingNode)
    found = {}
    for key, value in node.value:
        _need(isinstance(key, yaml.ScalarNode), "a key that is no text")
        _need(key.value not in found, f"{key.value} twice")
        found[key.value] = _plain(value)
    return found


# The document: valid, or refused.


def parse(text: str) -> Plain:
    """Return the document as plain values, its routes as they are written; raises RefusedError."""
    document = _read(text)
    if isinstance(document, str):
        document = {"default": {"active": document}}
    _known_keys(document, "version meta datacenters default apps drills workers signatures")
    _need(isinstance(document.get("signatures", {}), dict), "signatures")
    _need(document.get("version", "1") == "1", "version")
    _need(isinstance(document.get("meta", {}), dict), "meta")
    texts = list(_free(document.get("meta", {})))
    _need(len(texts) <= 10_000 and sum(map(len, texts)) <= 262_144, "meta is too large")
    if "datacenters" in document:
        document["datacenters"] = _datacenters(document["datacenters"])
    known = document.get("datacenters")
    if "default" in document:
        document["default"] = _route(document["default"], known)
    _need(isinstance(document.get("apps", {}), dict), "apps")
    for name, value in document.get("apps", {}).items():
        document["apps"][_entity(name)] = application = _route(value, known, jobs=True)
        for job, pinned in application.get("jobs", {}).items():
            application["jobs"][_entity(job)] = _route(pinned, known)
    _need(isinstance(document.get("drills", []), list), "drills")
    document["drills"] = [_drill(d, known) for d in document.get("drills", [])]
    _need(isinstance(document.get("workers", []), list), "workers")
    document["workers"] = [_worker(w) for w in document.get("workers", [])]
    matches = [w["match"] for w in document["workers"]]
    _need(len(matches) <= 1000 and len(set(matches)) == len(matches), "1000 at most, none twice")
    return document


def _free(value: Plain) -> Iterator[str]:
    """Yield the key and the scalar of each entry, at any depth."""
    for key, entry in value.items() if isinstance(value, dict) else (("", item) for item in value):
        yield key + (entry if isinstance(entry, str) else "")
        if not isinstance(entry, str):
            yield from _free(entry)


def _known_keys(value: Plain, keys: str) -> None:
    _need(isinstance(value, dict) and set(value) <= set(keys.split()), f"only {keys}")


def _entity(name: str) -> str:
    _need(1 <= len(name) <= 256 and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name), "a name")
    return name


def _datacenter(name: Plain, known: Plain) -> str:
    _need(isinstance(name, str) and DATACENTER.fullmatch(name), f"{name} is no datacenter's name")
    _need(known is None or name in known, f"{name} is unknown")
    return str(name)


def _datacenters(value: Plain) -> dict[str, Plain]:
    if isinstance(value, list):
        _need(all(isinstance(name, str) for name in value) and len(set(value)) == len(value), "names, none twice")
        value = {name: {} for name in value}
    _need(isinstance(value, dict) and len(value) <= 1000, "datacenters")
    taken = set()
    for name, about in value.items():
        _datacenter(name, None)
        _known_keys(about, "available cidrs")
        _need(about.get("available", "true") in ("true", "false"), "available")
        _need(isinstance(about.get("cidrs", []), list), "cidrs")
        for cidr in about.get("cidrs", []):
            _need(isinstance(cidr, str), "a network")
            try:
                network = ipaddress.ip_network(cidr)
            except ValueError as error:
                raise RefusedError(str(error)) from None
            _need(network not in taken, f"{network} twice")
            taken.add(network)
    return dict(value)


def _route(value: Plain, known: Plain, *, jobs: bool = False) -> dict[str, Plain]:
    if isinstance(value, str):
        value = {"active": value}
    _known_keys(value, "active split ramp backups sticky min_workers on_empty" + " jobs" * jobs)
    _need(len({"active", "split", "ramp"} & set(value)) <= 1, "one selector at most")
    found = dict(value)
    if "active" in value:
        _datacenter(value["active"], known)
    if "split" in value:
        _need(isinstance(value["split"], dict) and len(value["split"]) <= 1000, "split")
        found["split"] = {_datacenter(name, known): _weight(w) for name, w in value["split"].items()}
        _need(any(found["split"].values()), "a split without weight")
    if "ramp" in value:
        _known_keys(value["ramp"], "from to start duration steps")
        _need({"from", "to", "start", "duration"} <= set(value["ramp"]), "a ramp's parts")
        found["ramp"] = {
            "from": _datacenter(value["ramp"]["from"], known),
            "to": _datacenter(value["ramp"]["to"], known),
            "start": instant(value["ramp"]["start"]),
            "duration": _duration(value["ramp"]["duration"]),
            "steps": _whole(value["ramp"].get("steps", "10"), 1, 10000),
        }
        _need(found["ramp"]["from"] != found["ramp"]["to"], "from and to are one")
    if "backups" in value:
        _need(isinstance(value["backups"], list) and len(value["backups"]) <= 1000, "backups")
        found["backups"] = [_datacenter(name, known) for name in value["backups"]]
        _need(len(set(found["backups"])) == len(found["backups"]), "a backup twice")
    _need(value.get("sticky", "job") in ("job", "instance"), "sticky")
    _need(value.get("on_empty", "reject") in ("reject", "any"), "on_empty")
    if "min_workers" in value:
        found["min_workers"] = _whole(value["min_workers"], 1, math.inf)
    _need(isinstance(value.get("jobs", {}), dict), "jobs")
    return found


def _drill(value: Plain, known: Plain) -> dict[str, Plain]:
    _known_keys(value, "datacenter start until apps reason")
    _need({"datacenter", "until"} <= set(value), "a drill's parts")
    found: dict[str, Plain] = {
        "datacenter": _datacenter(value["datacenter"], known),
        "start": instant(value["start"]) if "start" in value else -math.inf,
        "until": instant(value["until"]),
        "apps": None,
    }
    _need(found["start"] < found["until"], "a drill that ends before it starts")
    if "apps" in value:
        _need(isinstance(value["apps"], list) and all(isinstance(name, str) for name in value["apps"]), "apps")
        found["apps"] = [_entity(name) for name in value["apps"]]
    _need(isinstance(value.get("reason", ""), str) and len(value.get("reason", "")) <= 4096, "reason")
    return found


def _worker(value: Plain) -> dict[str, Plain]:
    _known_keys(value, "match available reason")
    match = value.get("match")
    _need(isinstance(match, str) and 1 <= len(match) <= 256 and match != "*", "a match")
    _need(all("!" <= c <= "~" for c in match) and "*" not in match[1:-1] and match.count("*") <= 1, "a match")
    if "/" in match:
        try:
            ipaddress.ip_network(match)
        except ValueError as error:
            raise RefusedError(str(error)) from None
    _need(value.get("available", "true") in ("true", "false"), "available")
    _need(isinstance(value.get("reason", ""), str) and len(value.get("reason", "")) <= 4096, "reason")
    return dict(value)


def _drained(document: Plain, worker: Plain) -> bool:
    """Return whether the worker counts as not there."""
    address = worker.get("address", "")
    for rule in document["workers"]:
        match = rule["match"]
        if rule.get("available") != "false":
            continue
        if "/" in match:
            found = _network({"": {"cidrs": [match]}}, address) is not None
        elif match[-1] == "*":
            found = address.startswith(match[:-1])
        else:
            found = address.endswith(match[1:]) if match[0] == "*" else address == match
        if found:
            return True
    return False


def _weight(text: Plain) -> float:
    _need(isinstance(text, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text), "a weight")
    return float(text)


def _whole(text: Plain, least: int, most: float) -> int:
    _need(isinstance(text, str) and re.fullmatch(r"[0-9]+", text) and least <= int(text) <= most, "a whole number")
    return int(text)


def instant(text: Plain) -> Fraction:
    """Return seconds since 1970, exactly."""
    match = INSTANT.fullmatch(text) if isinstance(text, str) else None
    _need(match, "a time with an offset")
    assert match
    day, clock, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset.upper().replace('Z', '+00:00')}")
    except ValueError as error:
        raise RefusedError(str(error)) from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Fraction(since.days * 86400 + since.seconds) + Fraction("0" + (fraction or ".0"))


def _duration(text: Plain) -> Fraction:
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", text) if isinstance(text, str) else []
    _need(parts and "".join(number + unit for number, unit in parts) == text, "numbers with units")
    order = [list(UNITS).index(unit) for _, unit in parts]
    _need(order == sorted(set(order)), "largest first, each once")
    total = sum((Fraction(number) * UNITS[unit] for number, unit in parts), Fraction())
    _need(total > 0, "more than nothing")
    return total


# The decision.


def _effective(document: Plain, app: str, job: str) -> dict[str, Plain]:
    """Return the route after inheritance; empty where there is none."""
    application = document.get("apps", {}).get(app, {})
    merged: dict[str, Plain] = {}
    for layer in (document.get("default", {}), application, application.get("jobs", {}).get(job, {})):
        if {"active", "split", "ramp"} & set(layer):
            for selector in ("active", "split", "ramp"):
                merged.pop(selector, None)
        merged.update(layer)
    return merged


def _weights(merged: Plain, now: Fraction) -> dict[str, float]:
    if "active" in merged:
        return {merged["active"]: 1.0}
    if "split" in merged:
        return {name: w for name, w in merged["split"].items() if w > 0}
    ramp = merged["ramp"]
    k = math.floor(ramp["steps"] * (now - ramp["start"]) / ramp["duration"])
    k = min(max(k, 0), ramp["steps"])
    return {name: w for name, w in ((ramp["to"], float(k)), (ramp["from"], float(ramp["steps"] - k))) if w > 0}


def _score(app: str, key: str, name: str, w: float) -> float:
    h = int.from_bytes(hashlib.sha256(f"{app}\n{key}\n{name}".encode()).digest()[:8], "big") >> 12
    return -w / math.log((h + 0.5) / 2**52)


def decide(document: Plain, request: Plain, now: Fraction, down: frozenset[str] = frozenset()) -> Plain:
    """Return reason, datacenter and indices, as in the vectors."""
    candidates = request["candidates"]
    # "drained" is no name: it is in no order, and in no datacenter that can be out of service.
    where = ["\ndrained" if _drained(document, worker) else _location(document, worker) for worker in candidates]
    present = [index for index, place in enumerate(where) if place != "\ndrained"]
    names = [request["app"], *request.get("app_aliases", [])]
    named = next((name for name in names if name in document.get("apps", {})), request["app"])
    job, instance = request["job"], request["instance"]
    merged = _effective(document, named, job)
    if not {"active", "split", "ramp"} & set(merged):
        return "UNROUTED", "", present

    now_weights = _weights(merged, now)
    key = (instance or job) if merged.get("sticky") == "instance" else (job or instance)
    order = sorted(now_weights, key=lambda name: (-_score(request["app"], key, name, now_weights[name]), name))
    order += [name for name in merged.get("backups", []) if name not in order]

    out = set(down)
    out |= {name for name, about in document.get("datacenters", {}).items() if about.get("available") == "false"}
    for d in document["drills"]:
        if d["start"] <= now < d["until"] and (d["apps"] is None or set(d["apps"]) & set(names)):
            out.add(d["datacenter"])

    def indices(name: str) -> list[int]:
        return [index for index, place in enumerate(where) if place == name]

    first = "ACTIVE" if "active" in merged else "SPLIT"
    usable = [name for name in order if name not in out]
    for name in usable:
        if len(indices(name)) >= merged.get("min_workers", 1):
            return (first if name == order[0] else "FAILOVER"), name, indices(name)
    for name in usable:
        if indices(name):
            return "DEGRADED", name, indices(name)
    if merged.get("on_empty") == "any":
        left = [index for index in present if where[index] not in out]
        if left:
            return "ANY", "", left
    return "NO_WORKERS", "", []


def _location(document: Plain, worker: Plain) -> str | None:
    """Return the worker's datacenter, or None."""
    if worker.get("datacenter"):
        return str(worker["datacenter"])
    metrics = worker.get("metrics", "")
    try:
        said = json.loads(metrics)
    except ValueError:
        said = None
    if isinstance(said, dict):
        if isinstance(said.get("datacenter"), str) and said["datacenter"]:
            return str(said["datacenter"])
    elif DATACENTER.fullmatch(metrics.strip()):
        return str(metrics.strip())
    block = document.get("datacenters", {})
    for tag in worker.get("tag", "").split(","):
        if tag.strip() in block:
            return str(tag.strip())
    return _network(block, worker.get("address", ""))


def _network(block: Plain, address: str) -> str | None:
    host = address[1:].partition("]")[0] if address.startswith("[") else address
    if not address.startswith("[") and address.count(":") == 1:
        host = address.partition(":")[0]
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    holding = [
        (net.prefixlen, name)
        for name, about in block.items()
        for net in map(ipaddress.ip_network, about.get("cidrs", []))
        if net.version == ip.version and ip in net
    ]
    return max(holding)[1] if holding else None
