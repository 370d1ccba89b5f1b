"""Writes the HTTP and gRPC reference of the documentation site from openapi.json and routing.proto."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_DECLARATION = re.compile(r"(service|message|enum)\s+(\w+)\s*\{(\})?")
_RPC = re.compile(r"rpc\s+(\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\);")
_FIELD = re.compile(r"((?:repeated |optional )?[\w.]+)\s+(\w+)\s*=\s*(\d+);")
_VALUE = re.compile(r"([A-Z]\w*)\s*=\s*(\d+);")


@dataclass
class _Declaration:
    """A service, message or enum: its comment and the rows of its table."""

    kind: str
    name: str
    comment: str
    rows: list[tuple[str, ...]] = field(default_factory=list)


def http_reference(description: Json) -> str:
    """Return the page about HTTP: each path with its parameters and answers, then each type."""
    lines = ["# HTTP API", "", description["info"]["description"], "", "## Paths", ""]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            lines += [f"### {method.upper()} {path}", "", f"{operation['summary']}.".replace("..", "."), ""]
            parameters = [_resolved(description, each) for each in operation.get("parameters", ())]
            if parameters:
                rows = [(f"`{each['name']}`", each["in"], each.get("description", "")) for each in parameters]
                lines += _table(("parameter", "in", "meaning"), rows)
            answers = {code: _resolved(description, answer) for code, answer in operation["responses"].items()}
            rows = [(code, answer["description"], _content(answer)) for code, answer in answers.items()]
            lines += _table(("status", "meaning", "body"), rows)
    lines += ["## Types", ""]
    for name, schema in description["components"]["schemas"].items():
        lines += [f"### {name}", ""]
        if "description" in schema:
            lines += [schema["description"], ""]
        rows = list(_properties(schema))
        lines += _table(("field", "type", "meaning"), rows) if rows else [_type(schema), ""]
    return "\n".join(lines)


def grpc_reference(proto: str) -> str:
    """Return the page about gRPC: the methods, then each message and enum with its fields."""
    lines = ["# gRPC API", "", "Package `dcsidecar.v1`, from `protos/dcsidecar/v1/routing.proto`.", ""]
    for each in _declarations(proto):
        lines += [f"## {each.kind.capitalize()} {each.name}", ""]
        if each.comment:
            lines += [each.comment, ""]
        heads = {
            "service": ("method", "request", "response", "meaning"),
            "enum": ("value", "number", "meaning"),
            "message": ("field", "type", "number", "meaning"),
        }[each.kind]
        lines += _table(heads, each.rows) if each.rows else ["No fields.", ""]
    return "\n".join(lines)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [_row(heads), _row(["---"] * len(heads)), *map(_row, cells), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _resolved(description: Json, part: Json) -> Json:
    found: Json = description
    if "$ref" not in part:
        return part
    for key in part["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return found


def _content(answer: Json) -> str:
    bodies = answer.get("content", {})
    return ", ".join(_type(body["schema"]) if body.get("schema") else f"`{kind}`" for kind, body in bodies.items())


def _properties(schema: Json) -> Iterator[tuple[str, str, str]]:
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            yield "", _type(part), "its fields"
        yield from _properties(part)
    for name, each in schema.get("properties", {}).items():
        meaning = each.get("description", "")
        if "enum" in each:
            meaning = f"{meaning} {', '.join(f'`{value}`' for value in each['enum'])}".strip()
        yield f"`{name}`", _type(each), meaning


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "oneOf" in schema or "anyOf" in schema:
        return " or ".join(_type(each) for each in schema.get("oneOf", ()) or schema["anyOf"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    if "enum" in schema and "properties" not in schema and len(schema["enum"]) <= 8:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return " or ".join(kind) if isinstance(kind, list) else kind


def _declarations(proto: str) -> list[_Declaration]:
    """Return what a proto file declares, nested messages after the one that holds them."""
    found: list[_Declaration] = []
    open_: list[_Declaration] = []
    comment: list[str] = []
    for raw in proto.splitlines():
        line = raw.strip()
        if line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
            continue
        text = " ".join(comment)
        if match := _DECLARATION.match(line):
            name = ".".join([*(outer.name for outer in open_), match[2]])
            found.append(_Declaration(match[1], name, text))
            if not match[3]:
                open_.append(found[-1])
        elif line == "}":
            open_.pop()
        elif open_ and (match := _RPC.match(line)):
            asked, answered = f"{match[2] or ''}{match[3]}", f"{match[4] or ''}{match[5]}"
            open_[-1].rows.append((f"`{match[1]}`", f"`{asked}`", f"`{answered}`", text))
        elif open_ and open_[-1].kind == "enum" and (match := _VALUE.match(line)):
            open_[-1].rows.append((f"`{match[1]}`", match[2], text))
        elif open_ and (match := _FIELD.match(line)):
            open_[-1].rows.append((f"`{match[2]}`", f"`{match[1]}`", match[3], text))
        comment = []
    return found
