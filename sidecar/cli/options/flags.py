"""The options that several commands share, and the key that these name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from sidecar import config
from sidecar.cli.options.contexts import CliContext, contexts, production_of
from sidecar.cli.options.layers import resolve_options
from sidecar.cli.options.output import OutputFormat
from sidecar.cli.options.target import Target
from sidecar.cli.options.values import TIMEOUT
from sidecar.cli.options.zone import UTC_ATTRIBUTES
from sidecar.config import OPTIONS, SOURCE_OPTIONS, Option, kinds
from sidecar.errors import ConfigError, SecretUnreadable
from sidecar.secret_file import read_secret
from sidecar.sources import open_source
from sidecar.sources.base import Source

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_ADDRESS = "127.0.0.1:50051"

_OUTPUT: Mapping[str, Any] = {
    "type": OutputFormat(),
    "default": "text",
    "show_default": True,
    "help": "Output format.",
}
_PEM = click.Path(dir_okay=False, path_type=Path)


class Flag(click.Option):
    """An option that knows its section of the help."""

    section = "Options"


def flag(names: list[str], help: str, *, section: str = "", **attributes: Any) -> Flag:  # noqa: A002, ANN401 - click's
    """Return an option of a section of the help; "" is the command's own."""
    made = Flag(names, help=help, **attributes)
    made.section = section
    return made


class SectionedCommand(click.Command):
    """A command whose help has its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section, the command's own first."""
        sections: dict[str, list[tuple[str, str]]] = {"": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # An argument without a help text is in the usage line already.
            if record is not None and record[1]:
                section = parameter.section if isinstance(parameter, Flag) else ""
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section or "Options"):
                formatter.write_dl(records)


def _complete_context(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    try:
        return [name for name in contexts() if name.startswith(incomplete)]
    except ConfigError:
        return []


def context_flag(section: str = "") -> Flag:
    """Return `--context`."""
    help_ = "The context to work on.  [default: the current one, see `dc-sidecar context`]"
    return flag(["--context"], help_, section=section, metavar="NAME", shell_complete=_complete_context)


def utc_flag() -> Flag:
    """Return `--utc`."""
    return Flag(["--utc"], **UTC_ATTRIBUTES)


def output_flag() -> Flag:
    """Return `-o text|json`, as the parameter `output`."""
    return flag(["-o", "--output"], **_OUTPUT)


def output_option(command: F) -> F:
    """Give a command `-o text|json`, as the parameter `output`."""
    return click.option("-o", "--output", **_OUTPUT)(command)


def timeout_flag(default: str, help: str, *, section: str = "") -> Flag:  # noqa: A002 - click's
    """Return `--timeout`, in seconds as the parameter `timeout`."""
    return flag(["--timeout"], help, section=section, type=TIMEOUT, default=default, show_default=True)


def tls_flags(section: str = "", *, token: bool = True) -> list[Flag]:
    """Return the options of TLS connections to sidecars, and of who asks: a `token`, unless that is of no use."""
    pem: dict[str, Any] = {"type": _PEM, "section": section, "show_envvar": True}
    flags = [
        flag(["--tls"], "Use TLS; implied by --ca, --cert and --key.", section=section, is_flag=True),
        flag(["--ca"], "CA that signed the sidecar's certificate (PEM).", envvar="DC_SIDECAR_CA", **pem),
        flag(["--cert"], "Client certificate (PEM).", envvar="DC_SIDECAR_CERT", **pem),
        flag(["--key"], "Private key of --cert (PEM).", envvar="DC_SIDECAR_KEY", **pem),
        flag(
            ["--server-name"],
            "Name in the sidecar's certificate, if not its host.",
            section=section,
            default="",
            metavar="NAME",
        ),
    ]
    if token:
        text = "File with the bearer token to present, where the sidecar has a --policy."
        flags.append(flag(["--token-file"], text, envvar="DC_SIDECAR_TOKEN_FILE", **pem))
    return flags


class SidecarCommand(click.Command):
    """A command that asks one running sidecar."""

    address: Mapping[str, Any] = {
        "help": f"The sidecar: HOST:PORT or unix:/PATH.  [default: the first of `sidecar` in the --config file that "
        f"answers, else {DEFAULT_ADDRESS}]"
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        self.params += [
            flag(
                ["--sidecar"],
                metavar="ADDR",
                envvar="DC_SIDECAR_ADDRESS",
                show_envvar=True,
                **self.address,
            ),
            context_flag(),
            flag(
                ["--config", "config_file"],
                "Configuration file that names sidecars.",
                type=click.Path(),
                metavar="PATH",
                envvar="DC_SIDECAR_CONFIG",
                show_envvar=True,
            ),
            *tls_flags(),
            timeout_flag("2s", "How long to wait for an answer."),
            utc_flag(),
        ]


class FleetCommand(SidecarCommand):
    """A command that asks several running sidecars."""

    address: Mapping[str, Any] = {
        "multiple": True,
        "help": "A sidecar: HOST:PORT (every address of the host counts), unix:/PATH, or @FILE with one per line. "
        f"Repeatable.  [default: `sidecar` in the --config file, else {DEFAULT_ADDRESS}]",
    }


class SourceCommand(SectionedCommand):
    """A command that reads the key in the config center."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        self.params.append(context_flag("Where"))
        for option in OPTIONS:
            if option.name in ("source", "config") or (option in SOURCE_OPTIONS and not option.secret):
                made = _configured(option)
                # They work, but are too many for the help of each command.
                made.hidden = option in SOURCE_OPTIONS
                made.section = "Where"
                self.params.append(made)
        self.params.append(timeout_flag("10s", "How long to wait for the config center.", section="Where"))
        self.params += [*self.more_flags(), utc_flag()]

    def more_flags(self) -> list[Flag]:
        """Return the options beside those that say where the key is; one that only reads takes those of changes too."""
        flags = operator_flags()
        for one in flags:
            one.hidden = True
        return flags


@dataclass(frozen=True, slots=True)
class Key:
    """The key that a command's options and the configuration name, and how to read it."""

    source: Source
    target: Target
    timeout: float
    max_bytes: int
    values: Mapping[str, config.OptionValue]
    source_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def option(self, name: str) -> Any:  # noqa: ANN401 - as the option's kind reads it
        """Return the value of an option of the configuration, None where it is not set."""
        value = self.values[name]
        return value.option.kind.read(value.texts[0]) if value.texts else None


def open_key(ctx: click.Context) -> Key:
    """Return the key of a SourceCommand. Raises ConfigError where none is named, or its options are wrong."""
    values, context = resolved(ctx)
    settings = config.settings_of(values)
    if settings.source is None:
        raise ConfigError(
            "which key? Name it with --source URL, DC_SIDECAR_SOURCE, `source` in the --config file, or a context"
        )
    source = open_source(settings.source, settings.source_options)
    by_name = {value.option.name: value for value in values}
    named = context or production_of(settings.source)
    target = Target(
        url=source.url, context=named.name if named else "", production=named is not None and named.production
    )
    return Key(
        source, target, ctx.params.get("timeout") or 0.0, settings.max_document_size, by_name, settings.source_options
    )


def resolved(ctx: click.Context) -> tuple[tuple[config.OptionValue, ...], CliContext | None]:
    """Return the options of the configuration, and the context that names the key, None if none does.

    Raises ConfigError, and click's error for a --context beside a --source.
    """
    flags = flags_of(ctx)
    name = ctx.params.get("context")
    if name and "source" in flags:
        raise click.UsageError("found --context and --source, expected one of them", ctx)
    return resolve_options(flags, name)


def serve_flags() -> list[click.Parameter]:
    """Return the flags of `serve`, for a SectionedCommand."""
    return [_configured(option) for option in OPTIONS if not option.secret and not option.operator]


def operator_flags() -> list[Flag]:
    """Return the flags of the configuration that are for commands which change the document."""
    return [_configured(option) for option in OPTIONS if option.operator]


def flags_of(ctx: click.Context) -> dict[str, list[str]]:
    """Return the options of the configuration that were given as flags, as texts, by option name."""
    flags = {}
    for option in OPTIONS:
        found = ctx.params.get(_parameter(option))
        if isinstance(found, bool):
            flags[option.name] = [str(found).lower()]
        elif isinstance(found, str):
            flags[option.name] = [found]
        elif isinstance(found, Iterable) and (texts := [str(text) for text in found]):
            flags[option.name] = texts
    return flags


def _parameter(option: Option) -> str:
    return "flag_" + option.name.replace("-", "_")


def _configured(option: Option) -> Flag:
    """Return an option of the configuration as click has it. The configuration reads its text, as for all layers."""
    if option.kind is kinds.SWITCH:
        names = [f"{option.flag}/--no-{option.name}", _parameter(option)]
        return flag(names, option.help, section=option.section, default=None)
    text = f"{option.help}  [default: {', '.join(option.default)}]" if option.default else option.help
    kind: click.ParamType[Any] = click.Path() if option.kind is kinds.PATH else click.STRING
    if option.kind.choices:
        kind = click.Choice(option.kind.choices)
    return flag(
        [option.flag, _parameter(option)],
        text,
        section=option.section,
        type=kind,
        metavar=option.kind.metavar,
        multiple=option.repeatable,
    )


def new_option(command: F) -> F:
    """Give a command `--new`, which `change_options` reads."""
    help_ = "Accept an application that the document does not name yet."
    return click.option("--new", is_flag=True, help=help_)(command)


def default_option(command: F) -> F:
    """Give a command `--default`, for `subject_of`."""
    return click.option("--default", is_flag=True, help="The default route instead of an application's.")(command)


def subject_of(ctx: click.Context, words: tuple[str, ...], *, default: bool) -> tuple[str | None, tuple[str, ...]]:
    """Return the application that the first word names, None for the default route, and the remaining words."""
    if default:
        return None, words
    if not words or "=" in words[0]:
        raise click.UsageError("which application? Name it first, or pass --default", ctx)
    return words[0], words[1:]


def secret(file: Path | None, option: str, variable: str) -> str:
    """Return the secret in the file that an option names, else that of the variable, else "". Raises ConfigError."""
    if file is None:
        return os.environ.get(variable, "")
    try:
        return read_secret(file)
    except SecretUnreadable as error:
        raise ConfigError(f"{option}: {file} {error}") from error
