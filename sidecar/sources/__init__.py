"""Where routing documents come from; each source imports its client only when it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from sidecar.errors import ConfigError
from sidecar.sources.base import Source

# Scheme of the URL: the module that has `open_source(url, options)`. A new source adds its line.
_MODULES = {
    "file": "sidecar.sources.file",
    "nacos": "sidecar.sources.nacos",
    "zookeeper": "sidecar.sources.zookeeper",
}

Open = Callable[[str, Mapping[str, str]], Source]


def open_source(url: str, options: Mapping[str, str]) -> Source:
    """Return the source that `url` names, not started.

    `options` holds what belongs to sources and was set in the configuration: credentials, certificates, ACLs, by name,
    as in `{"nacos-username": "reader", "nacos-password-file": "/run/secrets/nacos"}`. Raises ConfigError for an unknown
    scheme, a URL that its source cannot read, credentials within a URL, or a client that is not installed.
    """
    scheme, colon, _ = url.partition(":")
    module = _MODULES.get(scheme)
    if module is None or not colon:
        known = ", ".join(f"{name}:" for name in _MODULES)
        raise ConfigError(f"source {url.partition('?')[0]!r}: expected a URL that starts with one of {known}")
    try:
        opener = cast("Open", import_module(module).open_source)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("sidecar"):
            raise
        raise ConfigError(
            f"the {scheme} source needs the package {error.name!r}: pip install 'dc-sidecar[{scheme}]'"
        ) from error
    return opener(url, options)
