"""Writes RESULTS.md: one section per benchmark, which each benchmark replaces with its own."""

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

The command, date and machine are below each title. Servers ran on core 0, load generators on core 1. CPU is the CPU
time of the server's threads, as accounted by the kernel. docs/performance.md discusses the figures.
"""


def write(title: str, command: str, text: str) -> None:
    """Replace the section with this title, or append it; `text` is Markdown."""
    written = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    sections = dict(section.partition("\n")[::2] for section in written.split("\n## ")[1:])
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    sections[title] = f"\n`{command}`, {when}, {machine()}.\n\n{text.strip()}\n"
    parts = [_HEAD, *(f"## {name}\n{section.rstrip()}\n" for name, section in sections.items())]
    RESULTS.write_text("\n".join(parts), encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [heads, ("---", *("---:" for _ in heads[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return the machine and the versions measured with."""
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
