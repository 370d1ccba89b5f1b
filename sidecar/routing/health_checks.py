"""Reads the health checks of a routing document: the probes that show whether a datacenter can run jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from sidecar.routing.fields import TEXT, FieldReader, shown
from sidecar.routing.model import Checks, Probe, ProbeKind
from sidecar.routing.scalars import SECOND_NS, format_duration
from sidecar.yaml_reader import Path, Tree

CHECK_KEYS = ("probes", "interval", "timeout", "fall", "rise", "must_pass")
MAX_PROBES = 8
"""Bound for one datacenter: a document must not keep a sidecar busy with probes."""

_KINDS = tuple(kind.value for kind in ProbeKind)
_OWN_KEYS = {"tcp": ("tcp",), "http": ("http", "expect"), "grpc": ("grpc", "service")}
_LEAST_NS = SECOND_NS
_INTERVAL_NS = 5 * SECOND_NS
_TIMEOUT_NS = 2 * SECOND_NS

_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
_ADDRESS = re.compile(rf"({_HOST}):([0-9]{{1,5}})")
_URL = re.compile(r"https?://[!-~]{1,1000}")
_AN_ADDRESS = "a host and a port such as gw.dc1:443 or [fd00::1]:443"
_A_URL = "a URL such as http://gw.dc1:8080/healthz, without a user and a password"


def read_checks(fields: FieldReader, keys: Mapping[str, Tree], path: Path) -> Checks | None:
    """Return the health checks of a datacenter whose entry has these keys, None for an entry without probes."""
    if "probes" not in keys:
        for key in CHECK_KEYS[1:]:
            if key in keys:
                fields.wrong((*path, key), f"found {key} without probes, expected `probes`, too: it is about them")
        return None
    here = (*path, "probes")
    items = fields.items(keys["probes"], here, "a list of probes such as [{tcp: gw.dc1:443}]")
    if keys["probes"] == [] or len(items) > MAX_PROBES:
        fields.wrong(here, f"found {len(items)} probes, expected 1 to {MAX_PROBES}")
    found = [_probe(fields, item, (*here, index)) for index, item in enumerate(items[:MAX_PROBES])]
    probes = tuple(probe for probe in found if probe is not None)
    if len(set(probes)) < len(probes):
        fields.wrong(here, "found a probe a second time, expected each once")
    interval = fields.duration(keys.get("interval"), (*path, "interval")) or _INTERVAL_NS
    if interval < _LEAST_NS:
        fields.wrong((*path, "interval"), f"found {shown(keys['interval'])}, expected 1s or more")
    timeout = fields.duration(keys.get("timeout"), (*path, "timeout")) or min(_TIMEOUT_NS, interval)
    if timeout > interval:
        most = format_duration(interval)
        fields.wrong((*path, "timeout"), f"found {shown(keys['timeout'])}, expected the interval, {most}, at most")
    return Checks(
        probes,
        interval_ns=interval,
        timeout_ns=timeout,
        fall=fields.integer(keys, path, "fall", 1, 100, 3),
        rise=fields.integer(keys, path, "rise", 1, 100, 2),
        must_pass=fields.integer(keys, path, "must_pass", 1, max(1, len(items)), max(1, len(items))),
    )


def _probe(fields: FieldReader, tree: Tree, path: Path) -> Probe | None:
    shape = "one of {tcp: HOST:PORT}, {http: URL, expect: 200} and {grpc: HOST:PORT, service: NAME}"
    if not isinstance(tree, dict):
        fields.wrong(path, f"found {shown(tree)}, expected {shape}")
        return None
    kinds = [kind for kind in _KINDS if kind in tree]
    if len(kinds) != 1:
        fields.mapping(tree, path, (*_KINDS, "expect", "service"), shape)
        fields.wrong(path, f"found {' and '.join(kinds) or 'none of ' + ', '.join(_KINDS)}, expected {shape}")
        return None
    kind = kinds[0]
    keys = fields.mapping(tree, path, _OWN_KEYS[kind], shape)
    target = keys[kind]
    place = _web_place(target) if kind == "http" else _place(target)
    if place is None:
        fields.wrong((*path, kind), f"found {shown(target)}, expected {_A_URL if kind == 'http' else _AN_ADDRESS}")
        return None
    service = keys.get("service", "")
    if not isinstance(service, str) or (service and not TEXT.fullmatch(service)):
        fields.wrong((*path, "service"), f"found {shown(service)}, expected the name of a gRPC service")
        return None
    expect = fields.integer(keys, path, "expect", 100, 599, 200)
    return Probe(ProbeKind(kind), str(target), *place, expect=expect, service=service)


def _place(target: Tree) -> tuple[str, int] | None:
    """Return the host of a text (an IPv6 address without brackets) and the port, None if it has none."""
    match = _ADDRESS.fullmatch(target) if isinstance(target, str) else None
    if match is None or not 0 < int(match[2]) < 2**16:
        return None
    return match[1].strip("[]"), int(match[2])


def _web_place(target: Tree) -> tuple[str, int] | None:
    if not isinstance(target, str) or not _URL.fullmatch(target):
        return None
    try:
        url = urlsplit(target)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        return None
    host = url.netloc.rpartition(":")[0] if url.port else url.netloc
    return _place(f"{host}:{port}") if "@" not in url.netloc else None
