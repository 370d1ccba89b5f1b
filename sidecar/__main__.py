"""The command `dc-sidecar`: `serve` goes straight to the daemon, without what only the command line needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

_HELP = {"-h", "--help"}


def main() -> int:
    """Run the command line of this process; return the exit code."""
    words = sys.argv[1:]
    serves = words[:1] == ["serve"] and not _HELP.intersection(words)
    # Imported by name, so that neither of the two drags the other in.
    module = import_module("sidecar.daemon" if serves else "sidecar.cli")
    return cast("Callable[[Sequence[str]], int]", module.main)(words[1:] if serves else words)


if __name__ == "__main__":
    sys.exit(main())
