"""Files that are whole or the old ones, whatever happens while they are written."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of a folder, made if need be: written beside, flushed to the disk, renamed. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = folder / f".{name}.new"
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / name)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
