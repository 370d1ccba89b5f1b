"""The table of values that the live document completes says what click knows."""

from __future__ import annotations

from collections.abc import Iterator

import click

from sidecar.cli.completion.table import ARGUMENTS, FLAGS, GROUPS, OPTIONS, VALUED
from sidecar.cli.main import cli

_KINDS = {"apps", "datacenters", "apps_and_datacenters", "apps_and_weights", "jobs"}
_ROOT = click.Context(cli, **cli.context_settings)


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(_ROOT):
        found = command.get_command(_ROOT, name)
        assert found is not None
        yield from _commands(found, (*path, name))


def _kind(parameter: click.Parameter) -> str:
    return str(getattr(parameter._custom_shell_complete, "__name__", ""))


COMPLETED = [
    (path, command.get_params(_ROOT))
    for path, command in _commands(cli)
    if _KINDS.intersection(map(_kind, command.get_params(_ROOT)))
]


def test_each_argument_is_listed() -> None:
    """By the name of what completes it, in the order of the command."""
    expected = {}
    for path, parameters in COMPLETED:
        arguments = [one for one in parameters if isinstance(one, click.Argument)]
        if _KINDS.intersection(map(_kind, arguments)):
            words = [(_kind(one) or "-") + ("*" if one.nargs == -1 else "") for one in arguments]
            assert all(one.nargs in (1, -1) for one in arguments)
            expected[" ".join(path)] = " ".join(words)
    assert expected == ARGUMENTS
    assert {path[0] for path, _ in COMPLETED if len(path) > 1} == GROUPS


def test_each_option_is_listed() -> None:
    """Those that take a value and those that take none; one whose value may be missing is left to click."""
    completed, valued, flags = {}, set(), set()
    for path, parameters in COMPLETED:
        for option in parameters:
            if not isinstance(option, click.Option):
                continue
            for name in (*option.opts, *option.secondary_opts):
                if option.is_flag:
                    flags.add(name)
                elif option.nargs == 1 and name != "--wait":
                    valued.add(name)
                if _kind(option) in _KINDS:
                    completed[f"{' '.join(path)} {name}"] = _kind(option)
    assert completed == OPTIONS
    assert valued == VALUED
    assert flags == FLAGS
    assert not valued & flags


def test_commands_take_options_anywhere() -> None:
    """Between the arguments too: so the line can be read without knowing the command's order."""
    for path, _ in COMPLETED:
        command: click.Command | None = cli
        for name in path:
            assert isinstance(command, click.Group)
            command = command.get_command(_ROOT, name)
        assert command is not None
        assert command.allow_interspersed_args
        assert not command.ignore_unknown_options
