from __future__ import annotations

import jsonschema
import pytest
import yaml

from sidecar.errors import DocumentRejected
from sidecar.routing.document import parse_document
from sidecar.routing.model import Checks, Datacenter, Probe, ProbeKind
from sidecar.routing.schema import schema

S = 10**9
VALIDATOR = jsonschema.Draft202012Validator(schema())


def text(entry: str) -> bytes:
    """Return a document whose dc1 has this entry."""
    return f"datacenters:\n  dc1: {entry}\n  dc2: {{}}\n".encode()


def read(entry: str) -> Checks | None:
    """Return the health checks that an entry asks for; editors must take it, too."""
    VALIDATOR.validate(yaml.safe_load(text(entry)))
    datacenters = parse_document(text(entry)).datacenters
    assert datacenters is not None
    assert datacenters["dc2"] == Datacenter("dc2")
    return datacenters["dc1"].checks


def test_probes_of_all_kinds() -> None:
    """TCP, HTTP and gRPC, with the defaults that hold where nothing is said."""
    found = read(
        "{probes: [{tcp: gw.dc1:443}, {tcp: '[fd00::1]:80'}, {http: 'http://gw.dc1/healthz'}, "
        "{http: 'https://gw.dc1:8443/a?b=c', expect: 204}, {grpc: 10.1.0.7:50051, service: jobs}]}"
    )
    assert found is not None
    assert str(found.probes[0]) == "tcp gw.dc1:443"
    assert found == Checks(
        (
            Probe(ProbeKind.TCP, "gw.dc1:443", "gw.dc1", 443),
            Probe(ProbeKind.TCP, "[fd00::1]:80", "fd00::1", 80),
            Probe(ProbeKind.HTTP, "http://gw.dc1/healthz", "gw.dc1", 80),
            Probe(ProbeKind.HTTP, "https://gw.dc1:8443/a?b=c", "gw.dc1", 8443, expect=204),
            Probe(ProbeKind.GRPC, "10.1.0.7:50051", "10.1.0.7", 50051, service="jobs"),
        ),
        interval_ns=5 * S,
        timeout_ns=2 * S,
        fall=3,
        rise=2,
        must_pass=5,
    )


def test_what_is_said_holds() -> None:
    """Interval, timeout, fall, rise and must_pass are taken over; the timeout is never longer than the interval."""
    found = read(
        "{probes: [{tcp: 'a:1'}, {tcp: 'b:1'}], interval: 1m, timeout: 500ms, fall: 5, rise: '4', must_pass: 1}"
    )
    assert found is not None
    assert (found.interval_ns, found.timeout_ns, found.fall, found.rise, found.must_pass) == (60 * S, S // 2, 5, 4, 1)
    short = read("{probes: [{tcp: 'a:1'}], interval: 1s}")
    assert short is not None
    assert short.timeout_ns == S
    assert read("{available: false}") is None


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ("{interval: 5s}", "interval", "expected `probes`, too"),
        ("{probes: []}", "probes", "found 0 probes, expected 1 to 8"),
        ("{probes: [" + ", ".join(f"{{tcp: a:{n}}}" for n in range(1, 10)) + "]}", "probes", "found 9 probes"),
        ("{probes: {tcp: a:1}}", "probes", "expected a list of probes"),
        ("{probes: [{tcp: a:1}, {tcp: a:1}]}", "probes", "a second time"),
        ("{probes: [a:1]}", "probes[0]", "expected one of {tcp: HOST:PORT}"),
        ("{probes: [{}]}", "probes[0]", "found none of tcp, http, grpc"),
        ("{probes: [{tcp: a:1, grpc: a:1}]}", "probes[0]", "found tcp and grpc"),
        ("{probes: [{tpc: a:1}]}", "probes[0].tpc", "did you mean `tcp`?"),
        ("{probes: [{tcp: a:1, expect: 200}]}", "probes[0].expect", "unknown key"),
        ("{probes: [{tcp: a}]}", "probes[0].tcp", "expected a host and a port"),
        ("{probes: [{tcp: a:0}]}", "probes[0].tcp", "expected a host and a port"),
        ("{probes: [{tcp: a:65536}]}", "probes[0].tcp", "expected a host and a port"),
        ("{probes: [{tcp: [a]}]}", "probes[0].tcp", "found a list"),
        ("{probes: [{http: 'ftp://a/'}]}", "probes[0].http", "expected a URL"),
        ("{probes: [{http: 'http://u:p@a/'}]}", "probes[0].http", "without a user and a password"),
        ("{probes: [{http: 'http://a:x/'}]}", "probes[0].http", "expected a URL"),
        ('{probes: [{http: "http://a/\\r\\nX: y"}]}', "probes[0].http", "expected a URL"),
        ("{probes: [{http: {}}]}", "probes[0].http", "found a mapping"),
        ("{probes: [{http: 'http://a/', expect: 99}]}", "probes[0].expect", "from 100 to 599"),
        ("{probes: [{grpc: a:1, service: [x]}]}", "probes[0].service", "the name of a gRPC service"),
        ("{probes: [{tcp: a:1}], interval: 999ms}", "interval", "expected 1s or more"),
        ("{probes: [{tcp: a:1}], timeout: 6s}", "timeout", "expected the interval, 5s, at most"),
        ("{probes: [{tcp: a:1}], fall: 0}", "fall", "from 1 to 100"),
        ("{probes: [{tcp: a:1}], rise: 101}", "rise", "from 1 to 100"),
        ("{probes: [{tcp: a:1}], must_pass: 2}", "must_pass", "from 1 to 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(entry: str, path: str, words: str) -> None:
    """Health checks that make no sense refuse the document, and say where and why."""
    with pytest.raises(DocumentRejected) as refused:
        parse_document(text(entry))
    found = {problem.path: problem.message for problem in refused.value.problems}
    assert words in found[f"datacenters.dc1.{path}"], found
