"""Parses the flags of `serve` with argparse: click would cost the daemon memory."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction
from collections.abc import Sequence
from typing import NoReturn

from sidecar.config.kinds import SWITCH
from sidecar.config.layers import nearest
from sidecar.config.options import OPTIONS
from sidecar.errors import FlagError

_FLAGGED = tuple(option for option in OPTIONS if not option.secret and not option.operator)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse starts with "argument --grace: "; the other messages start with the flag.
        raise FlagError(message.removeprefix("argument "))


def parse_flags(argv: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of the flags given, by option name. Raises FlagError, with the flag nearest to an unknown."""
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=SUPPRESS)
    for option in _FLAGGED:
        if option.kind is SWITCH:
            parser.add_argument(option.flag, dest=option.name, action=BooleanOptionalAction)
        else:
            parser.add_argument(option.flag, dest=option.name, action="append")
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        word = unknown[0].partition("=")[0]
        if not word.startswith("-"):
            raise FlagError(f"found {word!r}, expected flags only: see dc-sidecar serve --help")
        hint = nearest(word, (option.flag for option in _FLAGGED))
        raise FlagError(f"{word}: no such flag{hint or ': see dc-sidecar serve --help'}")
    flags: dict[str, list[str]] = {}
    for option in _FLAGGED:
        found = getattr(known, option.name, None)
        if isinstance(found, bool):
            flags[option.name] = [str(found).lower()]
        elif found is not None:
            if len(found) > 1 and not option.repeatable:
                raise FlagError(f"{option.flag}: found {len(found)} times, expected once")
            flags[option.name] = found
    return flags
