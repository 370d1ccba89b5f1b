"""Reads anchors that were kept elsewhere, and verifies their signatures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.audit.anchor import anchor_of
from sidecar.audit.anchor_keys import VerifyingKey
from sidecar.audit.chain_head import ChainHead
from sidecar.errors import ConfigError


@dataclass(frozen=True, slots=True)
class KeptAnchors:
    """The heads with a valid signature, each with its place, and the problems of the others."""

    heads: tuple[tuple[ChainHead, str], ...]
    problems: tuple[str, ...]


def anchors_in_file(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a file, each with its place. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}, line {number}", line.decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"--anchors: {path} cannot be read: {error.strerror}") from error


def verified_anchors(kept: Iterable[tuple[str, str]], key: VerifyingKey) -> KeptAnchors:
    """Return the anchors among texts, each with its place, that a key signed.

    A text is an anchor as JSON, or what a webhook or command got; one that got no anchor is left out.
    """
    heads: list[tuple[ChainHead, str]] = []
    problems: list[str] = []
    for place, text in kept:
        try:
            found = json.loads(text)
            if isinstance(found, dict) and "delivery" in found and "anchor" not in found:
                continue
            anchor = anchor_of(found.get("anchor", found) if isinstance(found, dict) else found)
        except (ValueError, RecursionError) as error:
            problems.append(f"{place}: found no anchor: {error}")
            continue
        problem = key.problem(anchor.message, anchor.signature)
        if problem:
            problems.append(f"{place}: the anchor of record {anchor.head.number} does not count: {problem}")
        else:
            heads.append((anchor.head, f"the anchor of {anchor.at} ({place})"))
    if not heads:
        problems.append("found no anchor that this key signed, so nothing is proved")
    return KeptAnchors(tuple(heads), tuple(problems))
