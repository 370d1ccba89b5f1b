"""The sidecar with a wall clock that the campaign can step: `python -m` runs it in place of `sidecar`."""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path

OFFSET_FILE = "CHAOS_CLOCK"
"""The variable that names a file with the clock's offset, eight bytes, nanoseconds."""


def write_offset(path: Path, offset_ns: int) -> None:
    """Step the clock of the sidecars that read this file."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(struct.pack("<q", offset_ns))


def _step_by(path: str) -> None:
    with Path(path).open("rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real = time.time_ns
    time.time_ns = lambda: real() + int(struct.unpack("<q", offset[:8])[0])


if __name__ == "__main__":
    _step_by(os.environ[OFFSET_FILE])
    import sidecar.sources
    from sidecar.__main__ import main

    sidecar.sources._MODULES["fake"] = "tests.integration.failures.fake_center"
    sys.exit(main())
