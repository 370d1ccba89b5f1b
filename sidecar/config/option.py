"""One option of the configuration: its names, its kind and its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sidecar.config.kinds import Kind

PREFIX = "DC_SIDECAR_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option; `name` is its key in the file, and gives its flag and its environment variable.

    `default` is the default as text, empty if the option is then not set. A `secret` has no flag, as everybody can read
    the list of processes, and no key in the file: it is in its variable or in a file of its own. An `operator` option
    belongs to the commands that change the document: `serve` has no flag for it, and ignores it in the shared file and
    in the environment.
    """

    name: str
    kind: Kind[Any]
    help: str
    section: str
    default: tuple[str, ...] = ()
    repeatable: bool = False
    secret: bool = False
    operator: bool = False

    @property
    def flag(self) -> str:
        """Its flag, as in `--max-message-size`."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Its environment variable, as in `DC_SIDECAR_MAX_MESSAGE_SIZE`."""
        return PREFIX + self.name.upper().replace("-", "_")
