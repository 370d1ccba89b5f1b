"""Whose key signs a change, and for which environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Signing:
    """The key that ssh-keygen signs with, and the environment of the sidecars that may take the document."""

    key: Path
    environment: str = ""
