"""The command `dc-sidecar`: `serve` and `health` go straight to it, without what only the command line needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

_HELP = {"-h", "--help"}
# Imported by name, so that none of them drags another in.
_DIRECT = {"serve": "sidecar.daemon", "health": "sidecar.healthcheck"}


def main() -> int:
    """Run the command line of this process; return the exit code."""
    words = sys.argv[1:]
    direct = None if _HELP.intersection(words) else _DIRECT.get(words[0] if words else "")
    module = import_module(direct or "sidecar.cli")
    return cast("Callable[[Sequence[str]], int]", module.main)(words[1:] if direct else words)


if __name__ == "__main__":
    sys.exit(main())
