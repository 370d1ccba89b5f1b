"""Holds manifests to the schemas of Kubernetes, and JSON to any schema.

The validators are imported when one is asked for: that alone takes 3 s, and each pytest worker imports all test files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any, cast

# The package's own version is that of the newest Kubernetes that it knows.
NEWEST = int(metadata.version("kubernetes-validate").split(".")[1])
VERSIONS = [f"1.{minor}.0" for minor in range(27, NEWEST + 1)]


def hold_to_kubernetes(objects: Iterable[Mapping[str, Any]], version: str) -> None:
    """Raise if a version of Kubernetes has other fields, or no such resource."""
    validate = _validator()
    for each in objects:
        validate(each, version, strict=True)


@cache
def _validator() -> Callable[..., str]:
    from kubernetes_validate import utils  # noqa: PLC0415

    assert utils.latest_version() == VERSIONS[-1]
    # 2 MB of JSON for each object and version, which it would read anew for each object.
    utils.schema_contents = cache(utils.schema_contents)
    return cast("Callable[..., str]", utils.validate)


def complaint(schema: Mapping[str, Any], value: object) -> str:
    """Return the most telling error that a JSON schema finds in a value, or ""."""
    import jsonschema  # noqa: PLC0415

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    return "" if error is None else f"{error.json_path}: {error.message}"
