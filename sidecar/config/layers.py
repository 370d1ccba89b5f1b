"""Merges flags over environment over file over defaults, with the origin of each value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from sidecar.config.kinds import DURATION, LIST, SWITCH
from sidecar.config.masking import has_password, masked_reactions, masked_url
from sidecar.config.option import PREFIX, Option
from sidecar.config.options import CONFIG, OPTIONS, Settings
from sidecar.config.source_options import SOURCE_OPTIONS
from sidecar.errors import ConfigError, DocumentRejected, FlagError, SecretUnreadable
from sidecar.secret_file import read_secret
from sidecar.yaml_reader import places, read

# Variables with our prefix that are not for `serve`: those of client commands, and, by the pattern, those that
# Kubernetes sets in every container for each service whose name begins with dc-sidecar.
CLIENT_VARIABLES = tuple(
    f"{PREFIX}{name}"
    for name in (
        "ADDRESS",
        "CONTEXT",
        "DATACENTER",
        "CA",
        "CERT",
        "KEY",
        "TOKEN_FILE",
        "POWERJOB_SERVER",
        "POWERJOB_PASSWORD",
        "POWERJOB_PASSWORD_FILE",
        "CELERY_BROKER",
        "ELASTICJOB_REGISTRY",
        "ELASTICJOB_DIGEST",
        "ELASTICJOB_DIGEST_FILE",
    )
)
_SERVICE_LINK = re.compile(
    PREFIX + r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)

Flags = Mapping[str, Sequence[str]]


class Layer(Enum):
    """Where a value comes from; the first layer that has one wins."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class OptionValue:
    """An option's value as texts (none: not set), and its origin, such as `--grace` or `DC_SIDECAR_GRACE`."""

    option: Option
    texts: tuple[str, ...]
    layer: Layer
    origin: str

    @property
    def shown(self) -> tuple[str, ...]:
        """The texts for display: "(set)" for a secret, a URL without its password."""
        if self.option.secret and self.texts:
            return ("(set)",)
        return tuple(map(masked_reactions if self.option.kind is LIST else masked_url, self.texts))


_BY_NAME = {option.name: option for option in OPTIONS}


def resolve(flags: Flags, environ: Mapping[str, str]) -> tuple[OptionValue, ...]:
    """Return the value of each option, in the order of the options; `flags` are those given, by option name.

    Raises ConfigError with all problems, one per line; FlagError if all of them are flags'.
    """
    problems: list[tuple[Layer, str]] = []
    found = {name: OptionValue(_BY_NAME[name], tuple(texts), Layer.FLAG, f"--{name}") for name, texts in flags.items()}
    found = _environment(environ, problems) | found
    if CONFIG.name in found:
        found = _file(found[CONFIG.name].texts[0], problems) | found
    values = [
        found.get(option.name) or OptionValue(option, option.default, Layer.DEFAULT, "default") for option in OPTIONS
    ]
    for value in values:
        kind = value.option.kind
        for text in value.texts:
            if kind.read(text) is None:
                hidden = value.option.secret or kind is LIST or has_password(text)
                shown = "another text" if hidden else repr(text)
                problems.append((value.layer, f"{value.origin}: found {shown}, expected {kind.expected}"))
    problems += _contradictions({value.option.name: value for value in values})
    _raise(problems)
    return tuple(values)


def settings_of(values: Iterable[OptionValue]) -> Settings:
    """Convert resolved values to settings. Raises ConfigError if a file with a secret cannot be read."""
    by_name = {value.option.name: value for value in values}
    read_values: dict[str, Any] = {}
    for row in fields(Settings):
        value = by_name.get(row.name.replace("_", "-"))
        if value is not None and value.texts:
            found = tuple(value.option.kind.read(text) for text in value.texts)
            read_values[row.name] = found if value.option.repeatable else found[0]
    warnings: list[str] = []
    source_options = {}
    for option in SOURCE_OPTIONS:
        value = by_name[option.name]
        if value.texts:
            source_options[option.name] = _canonical(option, value.texts[0])
        secret = option.name.removesuffix("-file")
        if value.texts and secret != option.name:
            source_options[secret] = _secret(value, warnings)
    return Settings(**read_values, source_options=source_options, warnings=tuple(warnings))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `: did you mean X?` if a known word is similar, else ""."""
    from difflib import get_close_matches  # noqa: PLC0415 - only an error needs it

    close = get_close_matches(word, tuple(known), n=1)
    return f": did you mean {close[0]}?" if close else ""


def _environment(environ: Mapping[str, str], problems: list[tuple[Layer, str]]) -> dict[str, OptionValue]:
    known = {option.variable: option for option in OPTIONS}
    found = {}
    for name, text in environ.items():
        option = known.get(name)
        if option is None:
            if not name.startswith(PREFIX) or name in CLIENT_VARIABLES or _SERVICE_LINK.fullmatch(name):
                continue
            problems.append((Layer.ENVIRONMENT, f"{name}: no such variable{nearest(name, known)}"))
        elif text:
            texts = tuple(part.strip() for part in text.split(",")) if option.repeatable else (text,)
            found[option.name] = OptionValue(option, texts, Layer.ENVIRONMENT, name)
    return found


def _file(path: str, problems: list[tuple[Layer, str]]) -> dict[str, OptionValue]:
    known = {option.name: option for option in OPTIONS if not option.secret and option is not CONFIG}
    try:
        text = Path(path).read_bytes().decode().removeprefix("\ufeff")
        tree = read(text, lambda: None)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except DocumentRejected as error:
        raise ConfigError("\n".join(f"{path}:{p.line}:{p.column}: {p.message}" for p in error.problems)) from error
    if tree == "":
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected options, one a line, such as `grace: 10s`")
    where = places(text)
    found = {}
    for name, entry in tree.items():
        origin = f"{path}:{where[name,].key[0]}"
        option = known.get(name)
        if option is None:
            secret = f"{name}-file" in known
            hint = f": a secret has no place here, name its file with {name}-file" if secret else nearest(name, known)
            problems.append((Layer.FILE, f"{origin}: {name}: no such option{hint}"))
            continue
        items = entry if isinstance(entry, list) and option.repeatable else [entry]
        if option.kind is LIST and isinstance(entry, list):
            items = [json.dumps(entry)]
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) < len(items) or not texts:
            problems.append((Layer.FILE, f"{origin}: {name}: expected {option.kind.expected}"))
        else:
            found[name] = OptionValue(option, texts, Layer.FILE, f"{origin}: {name}")
    return found


def _contradictions(values: Mapping[str, OptionValue]) -> Iterable[tuple[Layer, str]]:
    pairs = (
        ("tls-cert", "tls-key"),
        ("tls-key", "tls-cert"),
        ("tls-client-ca", "tls-cert"),
        ("tokens", "policy"),
        ("tls-crl", "policy"),
        ("tls-crl", "tls-client-ca"),
        ("signers-for", "allowed-signers"),
        ("fewer-signatures", "allowed-signers"),
        ("override-signatures", "allowed-signers"),
        ("override-signatures", "override"),
        ("max-change-signatures", "max-change"),
        ("max-change-signatures", "allowed-signers"),
        ("anchor-key", "state-dir"),
    )
    for one, other in pairs:
        if values[one].texts and not values[other].texts:
            yield values[one].layer, f"{values[one].origin}: expected {other} beside it, which is not set"
    for name, value in values.items():
        file = values.get(f"{name}-file")
        if value.option.secret and file is not None and value.texts and file.texts:
            yield file.layer, f"{file.origin}: found {value.origin} too, expected one of them"


def _raise(problems: Sequence[tuple[Layer, str]]) -> None:
    if problems:
        flags_only = all(layer is Layer.FLAG for layer, _ in problems)
        raise (FlagError if flags_only else ConfigError)("\n".join(message for _, message in problems))


def _canonical(option: Option, text: str) -> str:
    if option.kind is SWITCH:
        return str(SWITCH.read(text)).lower()
    return f"{DURATION.read(text):g}" if option.kind is DURATION else text


def _secret(value: OptionValue, warnings: list[str]) -> str:
    path = Path(value.texts[0])
    try:
        secret = read_secret(path)
    except SecretUnreadable as error:
        raise ConfigError(f"{value.origin}: {path} {error}") from error
    with suppress(OSError):
        if path.stat().st_mode & 0o004:
            warnings.append(f"{value.origin}: {path} is readable by everybody: chmod o-r {path}")
    return secret
