"""The head of the chain, the number and digest of its newest record, as it is kept beside the records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sidecar.atomic_file import replace_file
from sidecar.audit.hash_chain import START
from sidecar.errors import ChainBroken, StateFileRefused
from sidecar.state_file import read_state_file

_STATE_NAME = "audit-head"
_MAX_BYTES = 1024
# Of the names of segments, which start with the number of their first record.
_DIGITS = 12


@dataclass(frozen=True, slots=True, order=True)
class ChainHead:
    """The number of the newest record, 0 for none, and its digest."""

    number: int = 0
    digest: str = START


class HeadWitness(Protocol):
    """Keeps the head apart from the records: a head without its record shows that the last ones were removed.

    `place` is where it is kept, for messages. Another witness may keep the head on another machine, or sign it.
    """

    @property
    def place(self) -> str:
        """Where the head is kept."""
        ...

    def load(self) -> ChainHead | None:
        """Return the head, None if none was saved. Raises OSError; ChainBroken for a file of other content."""
        ...

    def save(self, head: ChainHead) -> None:
        """Save the head, without waiting for anything but the disk. Raises OSError."""
        ...


class HeadFile:
    """The head in a file. After a crash it may be an older one, which does no harm."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    @property
    def place(self) -> str:
        """The path."""
        return str(self._folder / self._name)

    def load(self) -> ChainHead | None:
        """Return the head, None if there is no file. Raises OSError, ChainBroken."""
        try:
            found = json.loads(read_state_file(self._folder / self._name, max_bytes=_MAX_BYTES))
            head = ChainHead(int(found["number"]), str(found["hash"]))
        except FileNotFoundError:
            return None
        except StateFileRefused as error:
            raise ChainBroken(f"{self.place} is not as it was written: {error.strerror}") from error
        except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
            raise ChainBroken(f"{self.place} is not as it was written") from error
        if not 0 <= head.number < 10**_DIGITS:
            raise ChainBroken(f"{self.place} is not as it was written")
        return head

    def save(self, head: ChainHead) -> None:
        """Replace the file. Raises OSError."""
        content = json.dumps({"number": head.number, "hash": head.digest}).encode()
        replace_file(self._folder, self._name, content, sync_rename=False)


def state_witness(state_dir: Path) -> HeadFile:
    """Return the witness in the state directory, which remains where the audit's folder is emptied."""
    return HeadFile(state_dir, _STATE_NAME)
