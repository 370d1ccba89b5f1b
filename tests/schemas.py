"""Holds manifests to the schemas of Kubernetes, and JSON to any schema.

The validators are imported when one is asked for: that alone takes 3 s, and each pytest worker imports all test files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

# The package's own version is that of the newest Kubernetes that it knows.
NEWEST = int(metadata.version("kubernetes-validate").split(".")[1])
VERSIONS = [f"1.{minor}.0" for minor in range(27, NEWEST + 1)]


def hold_to_kubernetes(objects: Iterable[Mapping[str, Any]], version: str) -> None:
    """Raise if a version of Kubernetes has other fields; resources of operators have no schema there."""
    import kubernetes_validate  # noqa: PLC0415

    for each in objects:
        if each["apiVersion"] != "monitoring.coreos.com/v1":
            kubernetes_validate.validate(each, version, strict=True)


def complaint(schema: Mapping[str, Any], value: object) -> str:
    """Return the most telling error that a JSON schema finds in a value, or ""."""
    import jsonschema  # noqa: PLC0415

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    return "" if error is None else f"{error.json_path}: {error.message}"
