"""The values of `-o`: text, JSON, or the same data as YAML."""

from __future__ import annotations

from typing import Any

import click

YAML = "sidecar.cli.yaml"
"""The key of a context's `meta` that is set for `-o yaml`."""


class OutputFormat(click.Choice[str]):
    """`text`, `json` or `yaml`. For commands `yaml` is `json`: what they print as data is then written as YAML."""

    def __init__(self) -> None:
        super().__init__(["text", "json", "yaml"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's
        """Return `text` or `json`."""
        found = super().convert(value, param, ctx)
        if found == "yaml" and ctx is not None:
            ctx.meta[YAML] = True
        return "json" if found == "yaml" else found
