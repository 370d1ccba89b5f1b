"""The group of all verbs, and how errors, interrupts and closed pipes end a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from sidecar import __version__
from sidecar.errors import SidecarError

# Each verb has a module of its own, imported when it is used, in the order of the help.
_VERBS = (
    "serve",
    "get",
    "switch",
    "shift",
    "ramp",
    "pin",
    "drill",
    "mark",
    "drain",
    "failback",
    "edit",
    "put",
    "init",
    "rollback",
    "history",
    "powerjob",
    "check",
    "explain",
    "schema",
    "filter",
    "status",
    "health",
    "watch",
    "config",
    "completion",
)

_EPILOG = """\b
Examples:
  dc-sidecar serve --source file:routing.yaml
  dc-sidecar filter billing --job 1001 --candidates dc1=2,dc2=1
  dc-sidecar switch billing dc2 --source file:routing.yaml --dry-run

\b
Exit codes: 0 done, 1 problems found (or a bug), 2 wrong usage, 3 refused by a
rule, 4 somebody else wrote, 5 not confirmed by all sidecars, 6 nobody there to
answer, 78 wrong configuration."""


class _Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as click calls it
        if cmd_name not in _VERBS:
            return None
        command = import_module(f"sidecar.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _VERBS and not args[0].startswith("-"):
            close = get_close_matches(args[0], _VERBS, n=1)
            hint = f": did you mean {close[0]}?" if close else f": expected one of {', '.join(_VERBS)}"
            raise click.UsageError(f"no such command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(__version__, message="dc-sidecar %(version)s")
def cli() -> None:
    """Decide in which datacenter a scheduler's jobs run.

    Serves the routing document that one key of a config center holds, and
    helps to write and to understand it.
    """


def main(arguments: Sequence[str]) -> int:
    """Run a verb; return its exit code. Expected errors are told on stderr, without a traceback."""
    # Verbs import gRPC when they need it; what goes wrong is told by us, not by the log of its core.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    extra: dict[str, Any] = {"color": False} if os.environ.get("NO_COLOR") else {}
    try:
        code = cli.main(list(arguments), "dc-sidecar", standalone_mode=False, obj=list(arguments), **extra)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SidecarError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except click.Abort:
        return 130
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has enough of it: click's way to say so is to exit, as our commands never do.
        # Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0
