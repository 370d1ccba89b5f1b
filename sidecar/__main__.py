"""The command `dc-sidecar`: `serve` goes straight to the daemon, without what only the command line needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from sidecar.errors import SidecarError

_HELP = {"-h", "--help"}


def main() -> int:
    """Run the command line of this process; return the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and not _HELP.intersection(arguments):
        return serve(arguments[1:])
    return _entry("sidecar.cli")(arguments)


def serve(arguments: Sequence[str]) -> int:
    """Run the daemon; what is wrong with its configuration is said in words."""
    try:
        return _entry("sidecar.daemon")(arguments)
    except SidecarError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code


def _entry(module: str) -> Callable[[Sequence[str]], int]:
    # Imported by name, so that neither of the two drags the other in.
    return cast("Callable[[Sequence[str]], int]", import_module(module).main)


if __name__ == "__main__":
    sys.exit(main())
