import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sidecar.routing.schema import schema
from sidecar.yaml_reader import read

VECTORS = Path(__file__).parents[2] / "vectors"
VALID = [entry["document"] for entry in yaml.safe_load((VECTORS / "decisions.yaml").read_text())]
INVALID = {entry["name"]: entry["document"] for entry in yaml.safe_load((VECTORS / "invalid.yaml").read_text())}

# What breaks a rule between two places of a document, or the calendar, or YAML itself, which has no place in a schema.
BEYOND_A_SCHEMA = {
    "no YAML",
    "a tab as indentation",
    "two documents",
    "a duplicate key",
    "an alias",
    "a language tag",
    "a ramp to where it starts",
    "a day that is none",
    "a drill that ends before it starts",
    "an unknown active datacenter",
    "an unknown backup",
    "an unknown split",
    "an unknown drill",
    "one network in two datacenters",
    "a meta of too many entries",
}

VALIDATOR = jsonschema.Draft202012Validator(schema())


class _Core(yaml.SafeLoader):
    """Reads as editors do: the core schema of YAML 1.2, where `no` is a text and 2026-11-22 too."""


_Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def _as_editors_read(text: str) -> object:
    return _keyed(yaml.load(text, _Core))


def _keyed(value: object) -> object:
    """Return a value with texts for keys, as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _keyed(entry) for key, entry in value.items()}
    return [_keyed(item) for item in value] if isinstance(value, list) else value


def test_schema_is_a_schema() -> None:
    """The schema is valid under its own metaschema."""
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", VALID)
def test_takes_documents_that_decide(text: str) -> None:
    """Every document of the decision vectors passes, as the sidecar reads it and as an editor does."""
    for instance in (read(text, lambda: None), _as_editors_read(text)):
        VALIDATOR.validate(instance.strip() if isinstance(instance, str) else instance)


@pytest.mark.parametrize("name", [name for name in INVALID if name not in BEYOND_A_SCHEMA])
def test_refuses_what_a_schema_can(name: str) -> None:
    """Every invalid document whose fault a schema can express fails."""
    text = INVALID[name]
    if name != "a merge key":  # which the sidecar's reader refuses before a schema sees it
        assert not VALIDATOR.is_valid(read(text, lambda: None))
    if name != "a weight that is not a number":  # no number compares with it, so no bound holds it
        assert not VALIDATOR.is_valid(_as_editors_read(text))


@pytest.mark.parametrize("name", sorted(BEYOND_A_SCHEMA))
def test_list_of_exceptions_is_true(name: str) -> None:
    """What is listed as beyond a schema does pass it, or is not even YAML."""
    try:
        instance = _as_editors_read(INVALID[name])
    except yaml.YAMLError:
        return
    assert VALIDATOR.is_valid(instance)


@pytest.mark.parametrize(
    "text",
    [
        "apps: {7: 7}",
        'apps: {"7": "7"}',
        "default: {active: dc1, min_workers: '2'}",
        "apps: {a: {split: {dc1: '90', dc2: 1e1}}}",
        "datacenters: {dc1: {available: 'false', cidrs: ['fd00:1::/32', 10.1.2.3]}}",
    ],
)
def test_quotes_change_nothing(text: str) -> None:
    """A scalar passes with and without quotes."""
    VALIDATOR.validate(_as_editors_read(text))
    VALIDATOR.validate(read(text, lambda: None))


def test_everything_is_described() -> None:
    """Each key of the document has a description for an editor to show, its own or that of what it refers to."""
    definitions = schema()["$defs"]

    def undescribed(node: dict[str, Any], path: str) -> list[str]:
        found = []
        for key, entry in node.get("properties", {}).items():
            target = definitions[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry
            if not (entry.get("description") or target.get("description")):
                found.append(f"{path}.{key}")
        parts = [*node.get("properties", {}).values(), *node.get("anyOf", [])]
        return found + [missing for part in parts for missing in undescribed(part, path)]

    assert [missing for name, node in definitions.items() for missing in undescribed(node, name)] == []
