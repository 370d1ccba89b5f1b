"""Prepares a virtual environment of this checkout from its lock file: `install.py run`, `dev` or `docs`.

`run` holds what the sidecar and its command line need to run with a file, `dev` everything that `make test` needs,
`docs` the generator of the documentation site. Runs on the system's Python, hence on the standard library only. The
output of the installers goes to `install.log` in the environment; the terminal shows one line, and a second on failure.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"run": ".venv-run", "dev": ".venv", "docs": ".venv-docs"}
_PROBE_S = 10.0
_DEFAULT_INDEX = "https://pypi.org/simple/"
# pip reads its settings from these and from its files, uv from these alone.
_VARIABLES = {"pip": ("PIP_INDEX_URL",), "uv": ("UV_DEFAULT_INDEX", "UV_INDEX_URL")}


def main(kind: str) -> int:
    """Prepare the environment; return the exit code."""
    folder = ROOT / FOLDERS[kind]
    if sys.version_info < (3, 11):  # noqa: UP036 - whatever Python make finds
        found = ".".join(map(str, sys.version_info[:3]))
        return _failed(f"found Python {found}, expected 3.11 or newer: try make PYTHON=python3.12 …")
    if importlib.util.find_spec("ensurepip") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        return _failed(f"{sys.executable} cannot create virtual environments: install python{version}-venv")
    sys.stdout.write(f"Setting up {folder.name} (once; {'about a minute' if kind == 'dev' else 'some seconds'}) …\n")
    sys.stdout.flush()
    folder.mkdir(exist_ok=True)
    with (folder / "install.log").open("w", encoding="utf-8") as log:
        for tool, *words in _steps(kind, folder / "bin"):
            done = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
            if done.returncode:
                return _failed(_cause(tool, folder))
    return 0


def _steps(kind: str, bin_: Path) -> list[list[str]]:
    """Return the commands in order, each preceded by the tool whose package index it needs, or ""."""
    python, uv = str(bin_ / "python"), str(bin_ / "uv")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    steps = [] if Path(python).exists() else [["", sys.executable, "-m", "venv", str(bin_.parent)]]
    if kind != "dev":
        steps.append(["pip", *pip, "--require-hashes", "-r", f"requirements/{kind}.lock"])
        return [*steps, ["", *pip, "--no-deps", "--no-build-isolation", "-e", "."]] if kind == "run" else steps
    to = ["--quiet", "--python", python]
    return [
        *steps,
        ["pip", *pip, "--require-hashes", "-r", "requirements/bootstrap.lock"],
        # pip compiles what it installs and uv does not: each command would take half as long again.
        ["uv", uv, "pip", "sync", *to, "--compile-bytecode", "--require-hashes", "requirements/dev.lock"],
        ["", uv, "pip", "install", *to, "--no-deps", "--no-build-isolation", "-e", "."],
    ]


def _cause(tool: str, folder: Path) -> str:
    """Return why a step failed: its package index is unreachable, or else its last line of output."""
    log = folder / "install.log"
    if tool:
        index = _index(tool, folder / "bin/python")
        reason = _unreachable(index)
        if reason:
            return (
                f"cannot reach the package index {_without_user(index)} ({reason}): connect to the network, or set "
                f"{_VARIABLES[tool][0]} to a mirror"
            )
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    return f"{lines[-1][:300]} (see {log.relative_to(ROOT)})"


def _index(tool: str, python: Path) -> str:
    for variable in _VARIABLES[tool]:
        if os.environ.get(variable):
            return os.environ[variable]
    if tool == "pip":
        words = [str(python), "-m", "pip", "config", "get", "global.index-url"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return _DEFAULT_INDEX


def _unreachable(index: str) -> str:
    """Return why an index does not answer; "" if it does, with any status, or is not served over HTTP."""
    if urlsplit(index).scheme not in ("http", "https"):
        return ""
    try:
        request = urllib.request.Request(_without_user(index), method="HEAD")  # noqa: S310 - checked above
        urllib.request.urlopen(request, timeout=_PROBE_S).close()  # noqa: S310
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or reason)
    return ""


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _failed(message: str) -> int:
    sys.stderr.write(f"dc-sidecar: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
