"""A secret of a source, given by an option or in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sidecar.errors import SecretUnreadable, SourceError
from sidecar.secret_file import read_secret


class Secret:
    """A secret from an option, or from a file that is read at each use: it can be rotated while running."""

    def __init__(self, options: Mapping[str, str], name: str) -> None:
        self._name = name
        self._value = options.get(name, "")
        self._file = options.get(f"{name}-file", "")

    def __bool__(self) -> bool:
        return bool(self._value or self._file)

    def read(self) -> str:
        """Return the secret, "" where none is configured. Raises SourceError if its file cannot be read."""
        if not self._file:
            return self._value
        try:
            return read_secret(Path(self._file)).strip()
        except SecretUnreadable as error:
            raise SourceError(f"The file {self._file} of {self._name} {error}.") from None
