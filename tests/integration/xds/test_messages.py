"""Our messages of xDS are the originals as far as they go, so that both are the same on the wire."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from sidecar.pb.dcsidecar.xds import messages_pb2

_MODULES = {
    "envoy.config.cluster.v3": ("cluster", "circuit_breaker"),
    "envoy.config.core.v3": ("base", "address", "config_source"),
    "envoy.config.endpoint.v3": ("endpoint", "endpoint_components"),
    "envoy.config.listener.v3": ("listener", "api_listener"),
    "envoy.config.route.v3": ("route", "route_components"),
    "envoy.extensions.filters.http.router.v3": ("router",),
    "envoy.extensions.filters.network.http_connection_manager.v3": ("http_connection_manager",),
    "envoy.service.discovery.v3": ("discovery",),
    "envoy.service.runtime.v3": ("rtds",),
    "envoy.type.v3": ("semantic_version",),
    "google.rpc": ("status",),
}
# The package has files that opentelemetry-proto has too, so it is never installed beside it.
_ORIGINALS = "xds-protos==1.85.0"
_DESCRIBE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[2])
from tests.integration.xds import test_messages as test
found = {}
for package, files in json.loads(sys.argv[1]).items():
    for file in files:
        test.describe(importlib.import_module(f"{package}.{file}_pb2").DESCRIPTOR, found)
print(json.dumps(found))
"""


def describe(file: object, found: dict[str, dict[str, list[object]]]) -> None:
    """Add what is on the wire of the messages and enums of a file, by their names without the package."""
    for message in file.message_types_by_name.values():  # type: ignore[attr-defined]  # generated
        _message(message, found)
    for enum in file.enum_types_by_name.values():  # type: ignore[attr-defined]  # generated
        _enum(enum, found)


def test_numbers_and_types_are_those_of_the_originals() -> None:
    """Each message, field, oneof and enum value of ours is in xds-protos, under the same number."""
    words = ["run", "--quiet", "--isolated", "--no-project", "--python", sys.executable, "--with", _ORIGINALS, "python"]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [str(Path(sys.executable).with_name("uv")), *words, "-c", _DESCRIBE, json.dumps(_MODULES), root],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The environment of the originals has this module too, and nothing else of ours.
    from sidecar.xds.grpc_resources import MANAGER, ROUTER  # noqa: PLC0415
    from sidecar.xds.kinds import Kind  # noqa: PLC0415

    theirs = json.loads(done.stdout)
    ours: dict[str, dict[str, list[object]]] = {}
    describe(messages_pb2.DESCRIPTOR, ours)
    assert len(ours) > 40
    # What goes into an Any is named by the original.
    named = {url.rpartition("/")[2] for url in (*(kind.value for kind in Kind), ROUTER, MANAGER)}
    assert named <= theirs["full names"].keys()
    del ours["full names"]
    for name, fields in ours.items():
        assert fields.items() <= theirs[name].items(), name


def _message(message: Descriptor, found: dict[str, dict[str, list[object]]]) -> None:
    found.setdefault("full names", {})[message.full_name] = []
    found[_name(message)] = {field.name: _field(field) for field in message.fields}
    for nested in message.nested_types:
        _message(nested, found)
    for enum in message.enum_types:
        _enum(enum, found)


def _enum(enum: EnumDescriptor, found: dict[str, dict[str, list[object]]]) -> None:
    found[_name(enum)] = {value.name: [value.number] for value in enum.values}


def _field(field: FieldDescriptor) -> list[object]:
    typed = field.message_type or field.enum_type
    oneof = field.containing_oneof
    return [field.number, field.type, field.is_repeated, _name(typed) if typed else "", oneof.name if oneof else ""]


def _name(of: Descriptor | EnumDescriptor) -> str:
    package = of.file.package
    return of.full_name.removeprefix(f"{package}.") if not package.startswith("google.protobuf") else of.full_name
