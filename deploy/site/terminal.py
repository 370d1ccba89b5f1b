"""Records the session of docs/images/terminal.svg from real runs: `python -m deploy.site.terminal`.

A sidecar serves a file in a temporary folder; each command runs in a terminal of its own, so its colours are those that
an operator sees.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs/images/terminal.svg"
COMMAND = Path(sys.executable).with_name("dc-sidecar")
DOCUMENT = """\
datacenters: {dc1: {}, dc2: {}}
default: {active: dc1, backups: [dc2]}
apps:
  billing: {split: {dc1: 90, dc2: 10}}   # gray release
"""
CONFIGURATION = "source: file:routing.yaml\nsidecar: unix:sidecar.sock\nlog-format: console\n"
SESSION = (
    "dc-sidecar filter billing --job 7 --candidates dc1=2,dc2=1",
    "dc-sidecar switch billing dc2 --by lin --reason 'DC1 cooling fails' --candidates dc1=4,dc2=3 --wait 20 --yes",
    "dc-sidecar filter billing --job 7 --candidates dc1=2,dc2=1",
    "dc-sidecar history --state-dir state --limit 1",
    "dc-sidecar switch biling dc2 --yes",
)
COLUMNS = 118
# In place of the temporary folder.
SHOWN = "/etc/dc-sidecar"
# Fonts of the reader's machine: rich's own template loads one from elsewhere.
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_READY_S = 20.0


def main() -> int:
    """Run the session and write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "routing.yaml").write_text(DOCUMENT, encoding="utf-8")
        (folder / "sidecar.yaml").write_text(CONFIGURATION, encoding="utf-8")
        env = {
            "PATH": f"{COMMAND.parent}:/usr/bin:/bin",
            "HOME": name,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
            "DC_SIDECAR_CONFIG": "sidecar.yaml",
            "DC_SIDECAR_ADDRESS": "unix:sidecar.sock",
        }
        serve = [str(COMMAND), "serve", "--listen", "unix:sidecar.sock", "--state-dir", "state"]
        with subprocess.Popen(serve, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as sidecar:
            _wait(sidecar)
            try:
                for command in SESSION:
                    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
                    printed = _run(command, folder, env).replace(name, SHOWN)
                    console.print(Text.from_ansi(printed))
            finally:
                sidecar.terminate()
    svg = console.export_svg(title="dc-sidecar", theme=MONOKAI, unique_id="terminal")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", FONT)
    TARGET.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")
    return 0


def _wait(sidecar: subprocess.Popen[str]) -> None:
    """Return once the first document is in force; read its log until it ends."""
    assert sidecar.stderr is not None
    stop = threading.Timer(_READY_S, sidecar.kill)
    stop.start()
    for line in sidecar.stderr:
        if "first document:" in line:
            break
    stop.cancel()
    threading.Thread(target=sidecar.stderr.read, daemon=True).start()


def _run(command: str, folder: Path, env: dict[str, str]) -> str:
    """Return what a command prints on a terminal."""
    parent, child = pty.openpty()
    with subprocess.Popen(["sh", "-c", command], cwd=folder, env=env, stdin=child, stdout=child, stderr=child) as done:
        os.close(child)
        printed = b""
        try:
            while chunk := os.read(parent, 65536):
                printed += chunk
        except OSError:
            # Linux: the other side is closed.
            pass
        done.wait()
    os.close(parent)
    return printed.decode().replace("\r\n", "\n").rstrip()


if __name__ == "__main__":
    sys.exit(main())
