"""The command `dc-sidecar`: `serve`, `health`, `active` and completion do not load the modules of other commands."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

_HELP = {"-h", "--help"}
# Imported by name, each only when it runs.
_DIRECT = {"serve": "sidecar.daemon", "health": "sidecar.healthcheck", "active": "sidecar.gate"}


def main() -> int:
    """Run the command line of this process; return the exit code."""
    if "_DC_SIDECAR_COMPLETE" in os.environ:
        gc.disable()
        answer: str | None = import_module("sidecar.cli.completion.answer").completed(os.environ)
        if answer is not None:
            sys.stdout.write(f"{answer}\n")
            return 0
    words = sys.argv[1:]
    # What follows is the command that `active` runs, with flags of its own.
    own = words[: words.index("--")] if "--" in words else words
    direct = None if _HELP.intersection(own) else _DIRECT.get(words[0] if words else "")
    if direct is None:
        # What a command imports stays until its end: looking for garbage in it takes a tenth of a short command's time.
        gc.set_threshold(50_000)
    module = import_module(direct or "sidecar.cli.main")
    code: int = module.main(words[1:] if direct else words)
    return code


if __name__ == "__main__":
    sys.exit(main())
