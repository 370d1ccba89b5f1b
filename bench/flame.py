"""Draws flame graphs of interpreter lock ownership under load: docs/images/flame-3.svg and flame-1000.svg.

    python -m bench.flame [--seconds 15] [--py-spy ~/venv/bin/py-spy]

Needs py-spy, which is not a dependency of the project (`pip install py-spy`), and permission to trace processes. Each
request is new. Time in C code is attributed to the calling Python function.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from bench.cases import Case, write_frames
from bench.results import CLIENT_CORE, SERVER_CORE
from bench.servers import ROOT, Server
from bench.slices import call

IMAGES = ROOT / "docs/images"


def draw(candidates: int, *, seconds: int, spy: str) -> Path:
    """Draw the graph for a number of candidates; return the path of the picture."""
    case = Case(candidates, cold=True)
    picture = IMAGES / f"flame-{candidates}.svg"
    with tempfile.TemporaryDirectory() as name:
        document = Path(name) / "routing.yaml"
        document.write_text(case.document())
        requests = write_frames(Path(name) / "requests", case.requests())
        with Server.sidecar(document, core=SERVER_CORE) as server:
            call(server, requests, 1)
            command = ["taskset", "-c", str(CLIENT_CORE), spy, "record", "--pid", str(server.pid)]
            command += ["--gil", "--rate", "500", "--duration", str(seconds), "--function", "--output", str(picture)]
            recording = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            call(server, requests, seconds + 3)
            if recording.wait():
                raise RuntimeError(f"{spy} failed with status {recording.returncode}")
    title = f"Interpreter lock: unary calls, {candidates:,} candidates, each request new"
    drawn = re.sub(r"py-spy record[^<]*|[^<>]*/py-spy record[^<]*", title, picture.read_text(encoding="utf-8"))
    picture.write_text(drawn, encoding="utf-8")
    return picture


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--py-spy", default="py-spy", help="path of py-spy")
    arguments = parser.parse_args()
    for candidates in (3, 1_000):
        print(draw(candidates, seconds=arguments.seconds, spy=arguments.py_spy))


if __name__ == "__main__":
    main()
