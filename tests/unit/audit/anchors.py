"""A journal whose heads are signed, and what was handed out of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sidecar.audit.anchor import Anchor
from sidecar.audit.anchor_keys import signing_key
from sidecar.audit.anchor_signer import AnchorSigner
from sidecar.audit.journal import Journal
from tests.unit.audit.test_journal import SIZE, record


def anchored(folder: Path, key: Path, count: int) -> list[Anchor]:
    """Write records, each for itself; return the anchor that each was handed out with."""
    signer = AnchorSigner(signing_key(key), source="fake:", journal=folder)
    journal = Journal(folder, max_bytes=SIZE, witnesses=[signer])
    found = []
    for number in range(1, count + 1):
        journal.append([record(number)])
        signer.written([record(number)])
        anchor = signer.covering(record(number))
        assert anchor is not None
        found.append(anchor)
    journal.close()
    return found


def keep(file: Path, anchors: Sequence[Anchor]) -> Path:
    """Write anchors to a file, as lines of JSON."""
    file.write_text("".join(f"{json.dumps(anchor.plain())}\n" for anchor in anchors))
    return file
