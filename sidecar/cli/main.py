"""The group of all commands, and the exit codes of errors, interrupts and closed pipes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextvars import copy_context
from difflib import get_close_matches
from importlib import import_module
from io import StringIO
from typing import Any

import click

from sidecar import __version__
from sidecar.cli.options.zone import utc_option
from sidecar.errors import SidecarError, SidecarUnreachable
from sidecar.routing.zone import use_zone
from sidecar.unanswered import GRPC

# Each has a module of its own in `commands`, imported when it is used. In the order of the help.
_SECTIONS = {
    "Run": ("serve", "health"),
    "See": ("apps", "top", "status", "watch", "filter", "get", "history"),
    "Change": ("switch", "shift", "ramp", "pin", "drill", "mark", "drain", "failback", "edit", "put", "init"),
    "Sign": ("sign", "propose", "approve"),
    "Go back": ("undo", "rollback"),
    "Check before": ("check", "explain", "diff", "schema"),
    "Schedulers": ("powerjob", "celery", "elasticjob"),
    "Followers": ("active", "render"),
    "Set up": ("context", "config", "completion", "man"),
}
_COMMANDS = tuple(name for names in _SECTIONS.values() for name in names)

_COMPLETE = "_DC_SIDECAR_COMPLETE"

_EPILOG = """\b
Examples:
  dc-sidecar serve --source file:routing.yaml
  dc-sidecar filter billing --job 1001 --candidates dc1=2,dc2=1
  dc-sidecar switch billing dc2 --source file:routing.yaml --dry-run

\b
Exit codes: 0 done, 1 problems found (or a bug), 2 wrong usage, 3 refused by a
rule, 4 conflict with another change, 5 not confirmed by all sidecars, 6 no
answer, 78 wrong configuration."""


class _Commands(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as click calls it
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"sidecar.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for title, names in _SECTIONS.items():
            commands = [(name.ljust(width), self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                limit = formatter.width - 6 - width
                formatter.write_dl([(name, found.get_short_help_str(limit)) for name, found in commands if found])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f": did you mean {close[0]}?" if close else f": expected one of {', '.join(_COMMANDS)}"
            raise click.UsageError(f"no such command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@utc_option
@click.version_option(__version__, message="dc-sidecar %(version)s")
def cli() -> None:
    """Decide in which datacenter a scheduler's jobs run.

    Serves the routing document that one key of a config center holds, and
    edits, checks and explains it.
    """


def main(arguments: Sequence[str]) -> int:
    """Run a command; return its exit code. Expected errors are printed to stderr, without a traceback.

    Times are shown in the machine's zone, unless `--utc` is given.
    """
    return copy_context().run(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    use_zone(None)
    # Set before a command imports gRPC: its failures are reported by us, not by the log of its core.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    extra: dict[str, Any] = {"color": False} if os.environ.get("NO_COLOR") else {}
    try:
        _demand_utf8(arguments)
        code = cli.main(list(arguments), "dc-sidecar", standalone_mode=False, obj=list(arguments), **extra)
        sys.stdout.flush()
    except click.ClickException as error:
        from sidecar.cli.render import print_lines  # noqa: PLC0415 - the help does without, and starts faster

        shown = StringIO()
        error.show(shown)
        print_lines(shown.getvalue().rstrip().split("\n"), err=True)
        return error.exit_code
    except SidecarError as error:
        from sidecar.cli.render import say  # noqa: PLC0415 - likewise

        remedy = f": {GRPC}" if isinstance(error, SidecarUnreachable) else ""
        say(f"Error: {error}{remedy}")
        return error.exit_code
    except click.Abort:
        return 130
    except (BrokenPipeError, SystemExit) as ended:
        if _COMPLETE in os.environ and isinstance(ended, SystemExit):
            # So click ends the completion of a line.
            return ended.code if isinstance(ended.code, int) else 0
        # The reader closed the pipe; click turns that into SystemExit, which our commands never raise. Without a new
        # stdout Python would complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _demand_utf8(arguments: Sequence[str]) -> None:
    """Raise UsageError for an argument that could not be written to a document."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="replace").decode()
            raise click.UsageError(
                f"found {shown!r}, which is not UTF-8: set the terminal's encoding to UTF-8"
            ) from None
