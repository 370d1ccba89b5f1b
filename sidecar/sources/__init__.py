"""The sources of routing documents; each imports its config center's client only when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from sidecar.errors import ConfigError
from sidecar.sources.base import Source

# The scheme of a URL, and the module with its `open_source(url, options)`. A new source adds its line.
_MODULES = {
    "apollo": "sidecar.sources.apollo",
    "apollo+https": "sidecar.sources.apollo",
    "file": "sidecar.sources.file",
    "nacos": "sidecar.sources.nacos",
    "nacos+endpoint": "sidecar.sources.nacos",
    "zookeeper": "sidecar.sources.zookeeper",
}

Open = Callable[[str, Mapping[str, str]], Source]


def open_source(url: str, options: Mapping[str, str]) -> Source:
    """Return the source of `url`, not started.

    `options` are the configured options of sources, by name: credentials, certificates, ACLs, as in
    `{"nacos-username": "reader", "nacos-password-file": "/run/secrets/nacos"}`. Raises ConfigError for an unknown
    scheme, a malformed URL, credentials in a URL, or a client that is not installed.
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
            f"the {scheme} source needs the package {error.name!r}: pip install '.[{scheme}]' in a checkout"
        ) from error
    return opener(url, options)
