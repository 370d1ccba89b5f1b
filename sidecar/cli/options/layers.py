"""Puts the context of a command between its flags, the environment and the configuration file; without click."""

from __future__ import annotations

import os

from sidecar import config
from sidecar.cli.options.contexts import CliContext, chosen
from sidecar.config.layers import Flags


def resolve_options(flags: Flags, name: str | None) -> tuple[tuple[config.OptionValue, ...], CliContext | None]:
    """Return the options of the configuration, and the context that names the key, None if none does.

    A context that is named by --context stands over environment and file, the current one (`name` is None) below them.
    Where something else names the key, nothing of the context is used: its credentials are for its own servers. Raises
    ConfigError.
    """
    context = chosen(name)
    if context is None:
        return config.resolve(flags, os.environ), None
    if not name:
        found = {value.option.name: value for value in config.resolve(flags, os.environ)}
        if found["source"].texts:
            return tuple(found.values()), None
        options = {key: texts for key, texts in context.options.items() if found[key].layer is config.Layer.DEFAULT}
        return config.resolve({**options, **flags}, {**context.environment(), **os.environ}), context
    return config.resolve({**context.options, **flags}, {**os.environ, **context.environment()}), context
