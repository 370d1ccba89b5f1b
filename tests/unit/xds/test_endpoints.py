"""The file of endpoints: what it may have in it, and what is said about what it may not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sidecar.errors import ConfigError
from sidecar.xds.endpoints import Endpoint, read_endpoints
from sidecar.xds.endpoints_file import EndpointsFile

FILE = """\
apps:
  billing:
    dc1: ["10.1.0.20:8000", "10.1.0.21:8000"]
    dc2:
      - {address: 10.2.0.20:8000, weight: 3}
      - "[fd00::2]:8000"
  team/reports: {dc1: []}
"""


def test_endpoints_by_application_and_datacenter() -> None:
    """Addresses of both kinds, with weights; an application that the file does not name has none."""
    found = read_endpoints(FILE.encode(), "FILE")
    assert found.of("billing") == {
        "dc1": (Endpoint("10.1.0.20", 8000), Endpoint("10.1.0.21", 8000)),
        "dc2": (Endpoint("10.2.0.20", 8000, 3), Endpoint("fd00::2", 8000)),
    }
    assert found.of("team/reports") == {"dc1": ()}
    assert found.of("other") == {}
    assert found.count == 4
    assert len(found.revision) == 12
    assert read_endpoints(b'{"apps": {"a": {"dc1": ["10.1.0.20:8000"]}}}', "FILE").count == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: found nothing, expected `apps:` with a mapping"),
        ("[]", "found a list, expected `apps:`"),
        ("{}", "found nothing as apps, expected"),
        ("apps: {}\nhosts: {}", "FILE:2:1: hosts: no such key, expected apps only"),
        ("apps:\n  billing: [a]", "FILE:2:3: apps.billing: found a list, expected a mapping of datacenters"),
        ("apps:\n  billing:\n    dc1: a", "FILE:3:5: apps.billing.dc1: found 'a', expected a list of endpoints"),
        ("apps: {b: {dc 1: []}}", "found 'dc 1', expected a datacenter name"),
        ("apps: {b: {dc1: [host:80]}}", "found 'host:80', expected an IP address and a port .* look up no names"),
        ("apps: {b: {dc1: ['10.0.0.1']}}", r"apps.b.dc1\[0\]: found '10.0.0.1', expected an IP address"),
        ("apps: {b: {dc1: ['10.0.0.1:0']}}", "found '10.0.0.1:0'"),
        ("apps: {b: {dc1: ['10.0.0.1:65536']}}", "found '10.0.0.1:65536'"),
        ("apps: {b: {dc1: ['10.0.0.1:8000000000']}}", "found '10.0.0.1:8000000000'"),
        ("apps: {b: {dc1: ['fd00::1:80']}}", "found 'fd00::1:80'"),
        ("apps: {b: {dc1: ['[10.0.0.1]:80']}}", r"found '\[10.0.0.1\]:80'"),
        ("apps: {b: {dc1: [[]]}}", "found a list, expected an IP address"),
        ("apps: {b: {dc1: [{weight: 1}]}}", "found nothing, expected an IP address"),
        ("apps: {b: {dc1: [{address: '10.0.0.1:80', weight: 0}]}}", "found the weight '0', expected .* leave out"),
        ("apps: {b: {dc1: [{address: '10.0.0.1:80', weight: 1001}]}}", "found the weight '1001'"),
        ("apps: {b: {dc1: [{address: '10.0.0.1:80', weight: {}}]}}", "found the weight a mapping"),
        ("apps: {b: {dc1: [{address: '10.0.0.1:80', zone: a}]}}", "zone: no such key, expected address and weight"),
        ("apps: {b: {dc1: ['10.0.0.1:80', '10.0.0.1:80']}}", r"dc1\[1\]: found '10.0.0.1:80' a second time"),
        ("apps: {b: 1, b: 2}", "found a second time"),
        (f"apps: {{{'x' * 300}: {{}}}}", "expected the name of an application, 1 to 256 characters"),
        ("\udcff", "byte 0 is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    """With its place, what was found and what is expected."""
    with pytest.raises(ConfigError, match=message):
        read_endpoints(text.encode(errors="surrogateescape"), "FILE")


def test_sizes_are_bounded() -> None:
    """Applications, datacenters of one, endpoints of one, and all endpoints."""
    many = ", ".join(f"'10.{number // 65000}.{number // 250}.{number % 250}:80'" for number in range(1001))
    with pytest.raises(ConfigError, match="found 1001 endpoints, expected at most 1000"):
        read_endpoints(f"apps: {{b: {{dc1: [{many}]}}}}".encode(), "FILE")
    full = many.rpartition(",")[0]
    with pytest.raises(ConfigError, match="found 21000 endpoints, expected at most 20000"):
        read_endpoints(f"apps: {{{', '.join(f'a{n}: {{dc1: [{full}]}}' for n in range(21))}}}".encode(), "FILE")
    with pytest.raises(ConfigError, match="found more endpoints, expected at most 20000"):
        read_endpoints(b"[" + b"[]," * 210_000 + b"]", "FILE")
    with pytest.raises(ConfigError, match="found 101 datacenters, expected at most 100"):
        read_endpoints(f"apps: {{b: {{{', '.join(f'd{n}: []' for n in range(101))}}}}}".encode(), "FILE")
    with pytest.raises(ConfigError, match="found 10001 applications, expected at most 10000"):
        read_endpoints(f"apps: {{{', '.join(f'a{n}: {{}}' for n in range(10001))}}}".encode(), "FILE")


def test_bad_file_at_the_start_is_an_error(tmp_path: Path) -> None:
    """One that is missing, and one that is wrong."""
    with pytest.raises(ConfigError, match=r"--xds-endpoints: .*cannot be read"):
        EndpointsFile(tmp_path / "endpoints.yaml")
    (tmp_path / "endpoints.yaml").write_text("apps: 1")
    with pytest.raises(ConfigError, match=r"--xds-endpoints .*endpoints.yaml.*: found '1' as apps"):
        EndpointsFile(tmp_path / "endpoints.yaml")


def test_bad_file_later_keeps_the_last_good_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The status has the problem until the file is good again; streams are woken for changes only."""
    path = tmp_path / "endpoints.yaml"
    path.write_text(FILE)
    file = EndpointsFile(path)
    woken: list[str] = []
    file.connect(lambda: woken.append(file.endpoints.revision))
    file.reloader.look()
    before = file.status()
    assert (before.applications, before.endpoints, before.problem) == (2, 4, "")
    path.write_text("apps: {b: {dc1: [host:80]}}")
    with caplog.at_level(logging.ERROR):
        file.reloader.look()
        file.reloader.look()
    assert file.endpoints.of("billing")
    assert "found 'host:80'" in file.status().problem
    assert file.status().revision == before.revision
    assert len(caplog.messages) == 1
    assert woken == []
    path.write_text("apps: {b: {dc1: ['10.0.0.1:80']}}")
    file.reloader.look()
    assert file.status().problem == ""
    assert woken == [file.status().revision]
