"""Contexts: named environments in a file of the user, each with its key, its sidecars and where its credentials are."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.config import OPTIONS
from sidecar.config.kinds import PATH
from sidecar.config.layers import nearest
from sidecar.errors import ConfigError, DocumentRejected
from sidecar.yaml_reader import Tree, read

VARIABLE = "DC_SIDECAR_CONTEXT"
_FILE = "contexts.yaml"
_CURRENT = "current-context"
# The options of connections to sidecars, which are those of commands and not of the configuration.
TLS_KEYS = ("ca", "cert", "key", "token-file", "server-name")
_SECRETS = {option.name for option in OPTIONS if option.secret}
_OPTIONS = {option.name: option for option in OPTIONS if not option.secret}
_KNOWN = {*_OPTIONS, *(f"{name}-env" for name in _SECRETS), *TLS_KEYS, "production"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CliContext:
    """A context. `options` are those of the configuration as texts, `secrets` the variables that hold a secret each.

    Changes of a `production` one ask for its name to be typed.
    """

    name: str
    production: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    tls: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The URL of the key, "" where the context names none."""
        return self.options.get("source", ("",))[0]

    def environment(self) -> dict[str, str]:
        """Return the secrets by the variables of the configuration. Raises ConfigError for one that is not set."""
        found = {}
        for name, variable in self.secrets.items():
            if not os.environ.get(variable):
                raise ConfigError(f"context {self.name}: {name}-env names {variable}, which is not set: export it")
            found[next(option.variable for option in OPTIONS if option.name == name)] = os.environ[variable]
        return found


def folder() -> Path:
    """Return the user's folder of configuration: below XDG_CONFIG_HOME, or as the platform has it."""
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/dc-sidecar").expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser() / "dc-sidecar"


def contexts() -> dict[str, CliContext]:
    """Return the contexts of the user by name. Raises ConfigError for a file that is wrong or that others may write."""
    path = folder() / _FILE
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {why}") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path}: others may write it, and so choose what you change: chmod 600 {path}")
    try:
        tree = read(text, lambda: None)
    except DocumentRejected as error:
        raise ConfigError("\n".join(f"{path}:{p.line}:{p.column}: {p.message}" for p in error.problems)) from error
    if not isinstance(tree, dict) and tree != "":
        raise ConfigError(f"{path}: expected contexts by name")
    return {name: _context(name, entry, path) for name, entry in (tree.items() if isinstance(tree, dict) else ())}


def current() -> str:
    """Return the name of the current context: of the variable, else the one that was chosen; "" for none."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return named
    try:
        return (folder() / _CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def chosen(name: str | None) -> CliContext | None:
    """Return a context by name, or (None) the current one, None if there is none. Raises ConfigError if unknown."""
    wanted = name or current()
    if not wanted:
        return None
    known = contexts()
    if wanted not in known:
        hint = nearest(wanted, known) or f": expected one of {', '.join(known) or 'none'}"
        raise ConfigError(f"there is no context {wanted}{hint} (in {folder() / _FILE})")
    return known[wanted]


def production_of(url: str) -> CliContext | None:
    """Return the production context of a key, however the key was named; None if there is none. Raises ConfigError."""
    return next((one for one in contexts().values() if one.production and one.source == url), None)


def use(name: str) -> None:
    """Make a context the current one; "" for none. Raises ConfigError."""
    _write(_CURRENT, f"{name}\n")


def add(name: str, text: str) -> Path:
    """Append the text of a context to the user's file; return its path. Raises ConfigError, with nothing written."""
    path = folder() / _FILE
    if name in contexts():
        raise ConfigError(f"there is a context {name} already: edit {path}")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    _write(_FILE, before + ("" if not before or before.endswith("\n") else "\n") + text)
    return path


def checked(name: str, entry: Tree) -> CliContext:
    """Return the context that an entry would make. Raises ConfigError."""
    return _context(name, entry, folder() / _FILE)


def _write(name: str, text: str) -> None:
    from sidecar.atomic_file import replace_file  # noqa: PLC0415 - completion reads contexts, and has no time for it

    try:
        replace_file(folder(), name, text.encode())
    except OSError as error:
        raise ConfigError(f"{folder() / name}: cannot be written: {error.strerror}") from error


def _context(name: str, entry: Tree, path: Path) -> CliContext:
    place = f"{path}: {name}"
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: expected options, such as source and sidecar")
    texts: dict[str, tuple[str, ...]] = {}
    for key, value in entry.items():
        if key in _SECRETS:
            raise ConfigError(
                f"{place}.{key}: a secret has no place here: name its file by {key}-file, or a variable by {key}-env"
            )
        if key not in _KNOWN:
            raise ConfigError(f"{place}.{key}: no such option{nearest(key, _KNOWN)}")
        items = value if isinstance(value, list) else [value]
        found = tuple(item for item in items if isinstance(item, str))
        repeatable = key in _OPTIONS and _OPTIONS[key].repeatable
        if not found or len(found) < len(items) or (len(found) > 1 and not repeatable):
            raise ConfigError(f"{place}.{key}: expected a text{' or a list of texts' if repeatable else ''}")
        path_like = key in TLS_KEYS[:4] or (key in _OPTIONS and _OPTIONS[key].kind is PATH)
        texts[key] = tuple(str(Path(one).expanduser()) for one in found) if path_like else found
    production = texts.pop("production", ("false",))[0]
    if production not in ("true", "false"):
        raise ConfigError(f"{place}.production: found {production!r}, expected true or false")
    return CliContext(
        name=name,
        production=production == "true",
        options={key: found for key, found in texts.items() if key in _OPTIONS},
        secrets={
            key.removesuffix("-env"): found[0] for key, found in texts.items() if key.removesuffix("-env") in _SECRETS
        },
        tls={key.replace("-", "_"): found[0] for key, found in texts.items() if key in TLS_KEYS},
    )
