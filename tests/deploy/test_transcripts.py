"""The transcripts of docs/operating.md are what the commands print now, run in the page's order."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar.routing.document import revision_of
from tests.harness import SidecarProcess
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMAND = Path(sys.executable).with_name("dc-sidecar")
QUESTION = "[y/N]: "

DOCUMENT = """\
version: 1
datacenters: {dc1: {}, dc2: {}, dc3: {}}
default:
  active: dc1            # the old hall
  backups: [dc2, dc3]
apps:
  billing:
    split: {dc1: 90, dc2: 10}   # gray release
    jobs:
      "1001": dc3
  reports: dc1           # ask lin first
"""
SPLIT = DOCUMENT.replace("reports: dc1  ", "reports: {split: {dc1: 80, dc2: 20}}")
MARKED = DOCUMENT.replace("dc2: {}", "dc2: {available: false}")

# Which block of the page a document is for, by the words that it begins with.
RUN = {
    "$ dc-sidecar context add staging": DOCUMENT,
    "$ dc-sidecar switch billing dc2 --config sidecar.yaml --by lin": DOCUMENT,
    "$ dc-sidecar mark dc3 down": MARKED,
    "$ dc-sidecar switch biling dc2": DOCUMENT,
    "$ dc-sidecar ramp reports": SPLIT,
    "$ dc-sidecar drill start dc1": DOCUMENT,
}
# What takes more than commands.
NOT_RUN = {
    "$ dc-sidecar switch billing dc2 --context prod": "needs a Nacos of that name",
    "$ dc-sidecar switch billing dc2 --config sidecar.yaml\n": "needs schedulers that show workers",
    "$ dc-sidecar apps": "its times are those of a drill and of a ramp under way",
    "Write this to": "needs a second operator between the question and the answer",
    "Written to": "needs a sidecar that is stopped between the question and the answer",
    "$ dc-sidecar get": "needs an editor that makes mistakes",
}


def _blocks(begins: str) -> list[str]:
    return [block for block in BLOCKS if block.startswith(begins)]


def _commands(block: str) -> Iterator[tuple[list[str], str]]:
    """Yield each command's words and the output that the page shows."""
    joined = re.sub(r" \\\n +", " ", block)
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", joined, re.MULTILINE):
        yield shlex.split(command), output


def _normal(text: str, folder: Path | None = None) -> str:
    """Return the words of a text; times, ages, revisions, and ports that differ from run to run are alike."""
    if folder is not None:
        text = text.replace(f"{folder}/.config", "~/.config").replace(f"{folder}/", "")
    text = re.sub(r"\b[0-9a-f]{12}\b", "REVISION", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", "TIME", text)
    text = re.sub(r"\b\d+\.\d s\b", "AGE", text)
    return " ".join(re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text).split())


def _run(words: list[str], folder: Path, *, answer: str) -> str:
    """Run a command in a terminal; return what it shows, with the answer to its question."""
    ours, its = pty.openpty()
    env = {
        "PATH": f"{COMMAND.parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "TZ": "UTC",
    }
    with subprocess.Popen(
        [str(COMMAND), *words[1:]], stdin=its, stdout=its, stderr=its, cwd=folder, env=env, start_new_session=True
    ):
        os.close(its)
        shown, asked = b"", False
        try:
            while more := os.read(ours, 65536):
                shown += more
                if not asked and shown.endswith(QUESTION.encode()):
                    asked = True
                    os.write(ours, f"{answer}\n".encode())
        except OSError:
            pass  # So a terminal ends under Linux.
    os.close(ours)
    return shown.decode()


@pytest.fixture
def sidecars(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Return what puts a document in force at two sidecars, which `sidecar.yaml` names."""
    file = tmp_path / "routing.yaml"
    file.write_text(DOCUMENT)
    with ExitStack() as stack:
        running = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            listen = f"{LOOPBACK}:{free_port()}"
            sidecar = SidecarProcess(f"file:{file}", folder=tmp_path / name, listen=listen, within=60)
            running.append(stack.enter_context(sidecar))
        addresses = [sidecar.address for sidecar in running]
        (tmp_path / "sidecar.yaml").write_text(f"source: file:routing.yaml\nsidecar: {addresses}\n".replace("'", ""))

        def serve(text: str) -> None:
            file.write_text(text)
            wanted = {revision_of(text.encode())}
            eventually(lambda: {each.status().revision for each in running} == wanted, "the document", within=20)

        yield serve


def test_each_transcript_is_run_or_says_why_not() -> None:
    """A new block of the page needs a document, or a reason."""
    for begins in (*RUN, *NOT_RUN):
        assert len(_blocks(begins)) == 1, begins
    assert len(BLOCKS) == len(RUN) + len(NOT_RUN)


@pytest.mark.parametrize("begins", RUN)
def test_the_commands_print_what_the_page_shows(begins: str, sidecars: Callable[[str], None], tmp_path: Path) -> None:
    """Word by word, but for what differs from run to run; … stands for what the page leaves out."""
    sidecars(RUN[begins])
    for words, output in _commands(_blocks(begins)[0]):
        answer = "y" if f"{QUESTION}y" in output or words[1] == "drill" else "n"
        shown = _normal(_run(words, tmp_path, answer=answer), tmp_path)
        expected = re.escape(_normal(output)).replace("…", ".*")
        assert re.fullmatch(expected, shown), f"{shlex.join(words)}\nprints {shown}\nexpected {_normal(output)}"
