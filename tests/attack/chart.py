"""The chart's defaults, rendered by helm: arguments, environment, memory limit, state volume."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.helm import one, render

_VALUES = {
    "source": {"configMap": {"document": "default: {active: dc1}\n"}},
    "http": {"enabled": True, "tokenSecret": {"name": "http"}},
}
_UNITS = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


@dataclass(frozen=True, slots=True)
class ChartDefaults:
    """Arguments, environment and memory limit of the container, size of the state volume; HTTP is enabled."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    memory: int
    state_volume: int


@cache
def chart_defaults() -> ChartDefaults:
    """Return the defaults; builds helm if it is not cached."""
    with tempfile.TemporaryDirectory() as folder:
        pod: dict[str, Any] = one(render(_VALUES, folder=Path(folder)), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    (state,) = (volume for volume in pod["volumes"] if volume["name"] == "dc-sidecar-state")
    return ChartDefaults(
        container["args"],
        {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry},
        size(container["resources"]["limits"]["memory"]),
        size(state["emptyDir"]["sizeLimit"]),
    )


def size(text: str) -> int:
    """Return the bytes of a quantity such as 64Mi or 64MiB."""
    quantity = text.removesuffix("B")
    unit = _UNITS.get(quantity[-2:])
    return int(quantity) if unit is None else int(quantity[:-2]) * unit
