"""Several sidecars with one database: each change once, each reaction once, over an outage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sidecar.audit.journal_reader import FOLDER, newest_first
from tests.harness import SidecarProcess
from tests.integration.audit.conftest import Postgres
from tests.integration.audit.test_audit import served, write
from tests.integration.cli.commands import run
from tests.unit.reactions.receiver import Receiver
from tests.waiting import eventually


@contextmanager
def sidecars(folder: Path, url: str, hook: str, count: int = 2) -> Iterator[list[SidecarProcess]]:
    """Run a fleet over one document."""
    with ExitStack() as stack:
        fleet = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            reactions = [{"name": "chat", "webhook": hook}]
            file = own / "sidecar.yaml"
            file.write_text(json.dumps({"reactions": reactions, "state-dir": str(own / "state"), "audit-db": url}))
            source = f"file:{folder / 'routing.yaml'}"
            fleet.append(stack.enter_context(SidecarProcess(source, "--config", str(file), folder=own)))
        yield fleet


def listed(url: str) -> list[str]:
    """Return the documents of the database, the oldest first."""
    found = run("history", "--fleet", "--audit-db", url, "-o", "json")
    assert found.returncode == 0, found.stderr
    return [record["changes"][0] for record in reversed(json.loads(found.stdout))]


def announced(receiver: Receiver) -> list[str]:
    """Return where work went, once per delivery."""
    return [event["after"] for body in map(json.loads, receiver.bodies) for event in body["events"]]


def finished(state: Path, text: str) -> bool:
    """Return whether a sidecar's reaction has finished the change to a text, the newest one."""
    done = json.loads((state / "followers" / "reaction chat").read_text())["done_ns"]
    newest = next(newest_first(state / FOLDER))
    return newest.text == text and bool(done >= newest.at_ns)


def test_once_for_all_over_an_outage(postgres: Postgres, tmp_path: Path) -> None:
    """Changes made while the database was down are in it afterwards, in order, once, and each was delivered once."""
    url = postgres.database("fleet")
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    with Receiver() as receiver, sidecars(tmp_path, url, receiver.url) as fleet:
        write(document, "dc2")
        eventually(lambda: announced(receiver) == ["dc2"], "the first switch")
        # A claim that is not released before the outage is taken over after its lease, and the change delivered again.
        for number in range(len(fleet)):
            eventually(lambda one=tmp_path / str(number) / "state": finished(one, "dc2"), "the end of the claim")  # type: ignore[misc]
        postgres.stop()
        try:
            for text in ("dc3", "dc2", "dc4"):
                write(document, text)
                for number, sidecar in enumerate(fleet):
                    served(sidecar, text)
                    journal = tmp_path / str(number) / "state" / FOLDER
                    eventually(lambda one=journal, new=text: next(newest_first(one)).text == new, "the record")  # type: ignore[misc]
        finally:
            postgres.start()
        eventually(lambda: announced(receiver)[-1] == "dc4", "the last switch", within=60)
        expected = [
            "default: dc1",
            "default: dc1 → dc2",
            "default: dc2 → dc3",
            "default: dc3 → dc2",
            "default: dc2 → dc4",
        ]
        eventually(lambda: listed(url) == expected, "the whole audit", within=60, every=0.5)
        write(document, "dc5")
        eventually(lambda: announced(receiver)[-1] == "dc5", "one more")
        for number, sidecar in enumerate(fleet):
            served(sidecar, "dc5")
            eventually(lambda one=tmp_path / str(number) / "state": finished(one, "dc5"), "the other one's look")  # type: ignore[misc]
    assert announced(receiver) == ["dc2", "dc3", "dc2", "dc4", "dc5"]


def test_a_database_that_is_away_holds_up_no_start(tmp_path: Path) -> None:
    """A sidecar starts, serves and audits without it; the command says that it cannot be asked."""
    (tmp_path / "routing.yaml").write_text("dc1")
    url = "postgresql://postgres@127.0.0.1:1/nowhere"
    with Receiver() as receiver, sidecars(tmp_path, url, receiver.url, 1) as (sidecar,):
        assert sidecar.status().revision
        asked = run("history", "--fleet", "--audit-db", url)
    assert (asked.returncode, "the shared audit cannot be read" in asked.stderr) == (6, True)


def test_a_password_is_for_a_file(tmp_path: Path) -> None:
    """A URL with a password is refused as an option, and taken out of a file."""
    asked = run("history", "--fleet", "--audit-db", "postgresql://me:s3cret@h/db")
    assert (asked.returncode, "s3cret" in asked.stderr, "audit-db-file" in asked.stderr) == (78, False, True)
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/x.db\n")
    asked = run("history", "--fleet", env={"DC_SIDECAR_AUDIT_DB_FILE": str(tmp_path / "url")})
    assert (asked.returncode, asked.stderr) == (0, "No recorded change matches.\n")


def test_serve_imports_no_database_and_no_http_client_where_none_is_asked_for() -> None:
    """What the daemon always has stays small."""
    code = "import sidecar.daemon, sys; print({'sqlalchemy', 'urllib.request', 'sidecar.reactions'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
