"""requirements/install.py: what it says when an environment cannot be prepared, and what the lock files hold."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import venv
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("bootstrap", "dev", "docs", "run")
FOLDERS = (".venv-run", ".venv", ".venv-docs")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new virtual environment; a copy of it works elsewhere too, as `bin/python -m pip`."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=True)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, environment: Path) -> Path:
    """Return a folder with what the script reads, and with empty environments."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for folder in FOLDERS:
        shutil.copytree(environment, tmp_path / folder, symlinks=True)
    return tmp_path


def install(checkout: Path, kind: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with an environment of its own."""
    return subprocess.run(
        [sys.executable, str(checkout / "requirements/install.py"), kind],
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout), "PIP_RETRIES": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def closed() -> str:
    """Return the URL of a package index at a port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}/simple/"


@pytest.mark.parametrize("kind", ["run", "dev", "docs"])
def test_no_network_is_one_line(kind: str, checkout: Path, closed: str) -> None:
    """The line names the index, without its credentials, the cause and the remedy; there is no traceback."""
    done = install(checkout, kind, PIP_INDEX_URL=closed)
    assert done.returncode == 1
    shown = closed.replace("user:secret@", "")
    assert done.stderr == (
        f"dc-sidecar: cannot reach the package index {shown} (Connection refused): connect to the network, or set "
        "PIP_INDEX_URL to a mirror\n"
    )


def test_another_failure_is_one_line_with_the_log(checkout: Path) -> None:
    """With no index to blame, the last line of the installer is shown, and where the rest of its output is."""
    (checkout / "requirements/run.lock").write_text("click==0.0.0\n", encoding="ascii")
    done = install(checkout, "run", PIP_NO_INDEX="1", PIP_INDEX_URL=ROOT.as_uri())
    assert done.returncode == 1
    assert re.fullmatch(r"dc-sidecar: .+ \(see \.venv-run/install\.log\)\n", done.stderr)
    assert (checkout / ".venv-run/install.log").read_text()


def test_a_python_without_venv_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Debian's Python without its venv package: the line names the package to install."""
    spec = spec_from_file_location("install", ROOT / "requirements/install.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert script.main("run") == 1
    expected = f"install python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert capsys.readouterr().err == f"dc-sidecar: {sys.executable} cannot create virtual environments: {expected}\n"


def _pins(name: str) -> set[str]:
    text = (ROOT / f"requirements/{name}.lock").read_text(encoding="ascii")
    return set(re.findall(r"^([a-z][^\s;]*==[^\s;]+)", text, re.MULTILINE))


def test_make_run_has_the_tested_versions() -> None:
    """`make run` installs the versions that the tests run with, and no development tool."""
    assert _pins("run") <= _pins("dev")
    assert {"grpcio", "click", "hatchling"} <= {pin.partition("==")[0] for pin in _pins("run")}
    assert len(_pins("run")) < 40


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_hashes(name: str) -> None:
    """Each package of each lock file is pinned with at least one hash."""
    text = (ROOT / f"requirements/{name}.lock").read_text(encoding="ascii")
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert all(re.match(r"[a-z][^\s]*==[^\s;]+", entry) and "--hash=sha256:" in entry for entry in entries)
