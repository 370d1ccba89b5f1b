"""The sidecar's own configuration: one table of options, the source of flags, environment, file and help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.config.layers import Layer, OptionValue, resolve, settings_of
from sidecar.config.option import Option
from sidecar.config.options import OPTIONS, Settings
from sidecar.config.source_options import SOURCE_OPTIONS
from sidecar.errors import ConfigError, FlagError

__all__ = [
    "OPTIONS",
    "SOURCE_OPTIONS",
    "FlagError",
    "Layer",
    "Option",
    "OptionValue",
    "Settings",
    "load",
    "resolve",
    "settings_of",
]


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings of `serve`: the flags `argv` over the environment over the file over the defaults.

    Raises FlagError for invalid flags (exit code 2), ConfigError for everything else (78), naming each flag, variable
    or key, the value found and the expected form.
    """
    from sidecar.config.arguments import parse_flags  # noqa: PLC0415 - only `serve` reads its flags with argparse

    settings = settings_of(resolve(parse_flags(argv), environ))
    if settings.source is None:
        raise ConfigError(
            "no source is set, expected --source URL, DC_SIDECAR_SOURCE or `source` in the file, "
            "such as file:/etc/dc-sidecar/routing.yaml"
        )
    return settings
