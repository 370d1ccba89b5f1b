"""The reference of the documentation site has all of the contracts."""

from __future__ import annotations

import json
import re

from deploy.site.reference import grpc_reference, http_reference
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.deploy.helm import ROOT


def test_the_http_reference_has_every_path_type_and_field() -> None:
    """Each path with its summary, each type under the heading that links lead to, each field in a row."""
    description = json.loads((ROOT / "sidecar/web/openapi.json").read_text(encoding="utf-8"))
    page = http_reference(description)
    for path, methods in description["paths"].items():
        assert f"### GET {path}\n" in page
        assert methods["get"]["summary"].rstrip(".") in page
    for name, schema in description["components"]["schemas"].items():
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        assert section
        for field in schema.get("properties", {}):
            assert f"| `{field}` |" in section
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= anchors


def test_the_grpc_reference_has_every_method_field_and_value() -> None:
    """As the compiled contract has them, with the comments of the proto file."""
    page = grpc_reference((ROOT / "protos/dcsidecar/v1/routing.proto").read_text(encoding="utf-8"))
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    file = pb.DESCRIPTOR
    names = {method.name for service in file.services_by_name.values() for method in service.methods}
    messages = [*file.message_types_by_name.values()]
    messages += [nested for message in messages for nested in message.nested_types]
    names |= {field.name for message in messages for field in message.fields}
    names |= {value.name for enum in file.enum_types_by_name.values() for value in enum.values}
    assert rows == names
    for message in messages:
        assert f"## Message {message.full_name.removeprefix('dcsidecar.v1.')}\n" in page
    assert "Decides which of the candidates may run the job now." in page
