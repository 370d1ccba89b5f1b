"""The command `dc-sidecar`: `serve` and `health` start without what only the other commands need."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

_HELP = {"-h", "--help"}
# Imported by name, each only when it runs.
_DIRECT = {"serve": "sidecar.daemon", "health": "sidecar.healthcheck"}


def main() -> int:
    """Run the command line of this process; return the exit code."""
    words = sys.argv[1:]
    direct = None if _HELP.intersection(words) else _DIRECT.get(words[0] if words else "")
    if direct is None:
        # What a command imports stays until its end: looking for garbage in it takes a tenth of a short command's time.
        gc.set_threshold(50_000)
    module = import_module(direct or "sidecar.cli")
    return cast("Callable[[Sequence[str]], int]", module.main)(words[1:] if direct else words)


if __name__ == "__main__":
    sys.exit(main())
