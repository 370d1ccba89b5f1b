"""The results that are kept: RESULTS.md, a section for each script, each rewritten by its script alone."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import grpc

RESULTS = Path(__file__).parent / "RESULTS.md"
SERVER_CORE, CLIENT_CORE = 0, 1

_HEAD = """# Results

What each section was measured with stands below its title. Servers ran on core 0, what called them on core 1. CPU is
the processor time of the server's threads, as the scheduler counts it. docs/performance.md says in words what it means.
"""


def write(title: str, command: str, text: str) -> None:
    """Put a section in place of the one of the same title, or at the end; `text` is Markdown."""
    written = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    sections = dict(section.partition("\n")[::2] for section in written.split("\n## ")[1:])
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    sections[title] = f"\n`{command}`, {when}, {machine()}.\n\n{text.strip()}\n"
    parts = [_HEAD, *(f"## {name}\n{section.rstrip()}\n" for name, section in sections.items())]
    RESULTS.write_text("\n".join(parts), encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, the first column for words, the others for numbers."""
    lines = [heads, ("---", *("---:" for _ in heads[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return what was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, Python {platform.python_version()}, "
        f"grpcio {grpc.__version__}"
    )
