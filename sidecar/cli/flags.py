"""The flags of `serve` as click has them, made from the table of options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from sidecar.config import OPTIONS, SOURCE_OPTIONS, Option
from sidecar.config.kinds import PATH, SWITCH


class Flag(click.Option):
    """A flag that knows in which section of the help it stands."""

    section = "Options"


class SectionedCommand(click.Command):
    """A command whose help has its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section at a time, its own first."""
        sections: dict[str, list[tuple[str, str]]] = {"": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # An argument without words of its own is in the usage line already.
            if record is not None and record[1]:
                section = parameter.section if isinstance(parameter, Flag) else ""
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section or "Options"):
                formatter.write_dl(records)


def serve_flags() -> list[click.Parameter]:
    """Return the flags of `serve`, for a SectionedCommand."""
    return [_flag(option) for option in OPTIONS if not option.secret and not option.operator]


def changing_flags() -> list[click.Parameter]:
    """Return the flags of commands that change the document; those of single sources work and are not in the help."""
    flags = []
    for option in OPTIONS:
        if option.name in ("source", "config") or option.operator or (option in SOURCE_OPTIONS and not option.secret):
            flag = _flag(option)
            flag.hidden = option in SOURCE_OPTIONS
            flag.section = "Where" if option.section == "Serving" else option.section
            flags.append(flag)
    return [*flags]


def flags_of(ctx: click.Context) -> dict[str, list[str]]:
    """Return the flags of `serve` that were given on the command line, as texts, by option name."""
    flags = {}
    for option in OPTIONS:
        found = ctx.params.get(_key(option))
        if isinstance(found, bool):
            flags[option.name] = [str(found).lower()]
        elif isinstance(found, str):
            flags[option.name] = [found]
        elif isinstance(found, Iterable) and (texts := [str(text) for text in found]):
            flags[option.name] = texts
    return flags


def _key(option: Option) -> str:
    return "flag_" + option.name.replace("-", "_")


def _flag(option: Option) -> Flag:
    """Return an option as click has it. What its text means is for the configuration to say, as for all layers."""
    text = option.help
    names = [option.flag, _key(option)]
    if option.kind is SWITCH:
        flag = Flag([f"{option.flag}/--no-{option.name}", names[1]], default=None, help=text)
    else:
        if option.default:
            text = f"{text}  [default: {', '.join(option.default)}]"
        kind: click.ParamType[Any] = click.Path() if option.kind is PATH else click.STRING
        if option.kind.choices:
            kind = click.Choice(option.kind.choices)
        flag = Flag(names, type=kind, metavar=option.kind.metavar, multiple=option.repeatable, help=text)
    flag.section = option.section
    return flag
