"""A real sidecar's anchors: handed to a webhook and a database, and what they prove afterwards."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.audit.chain_head import ChainHead, HeadFile, state_witness
from sidecar.audit.hash_chain import read_link
from sidecar.audit.journal_reader import FOLDER
from tests.harness import SidecarProcess
from tests.integration.audit.test_audit import records, served, write
from tests.integration.cli.commands import run
from tests.ssh_keys import Signer
from tests.unit.reactions.receiver import Receiver
from tests.waiting import eventually


def cut_tail(state: Path) -> None:
    """Remove the last record and change the heads to match, so nothing in the state directory shows it."""
    (segment,) = (state / FOLDER).glob("0*.jsonl")
    kept = segment.read_bytes().splitlines(keepends=True)[:-1]
    segment.write_bytes(b"".join(kept))
    link = read_link(kept[-1][:-1])
    for witness in (state_witness(state), HeadFile(state / FOLDER, "head")):
        witness.save(ChainHead(link.number, link.digest))


def test_a_tail_that_was_removed_while_stopped_is_found(tmp_path: Path) -> None:
    """The journal looks whole, before and after the next start, but not beside what receiver and database kept."""
    document, state, kept = tmp_path / "routing.yaml", tmp_path / "state", tmp_path / "kept.jsonl"
    key = Signer(tmp_path, "me").key
    database = ("--audit-db", f"sqlite:///{tmp_path}/audit.db")
    document.write_text("dc1")
    with Receiver() as receiver:
        config = tmp_path / "sidecar.yaml"
        reaction = {"name": "keep", "webhook": receiver.url, "format": "json", "on": ["switch"]}
        config.write_text(json.dumps({"reactions": [reaction], "state-dir": str(state), "anchor-key": str(key)}))
        flags = ("--config", str(config), *database)
        with SidecarProcess(f"file:{document}", *flags, folder=tmp_path) as sidecar:
            for text in ("dc2", "dc3"):
                write(document, text)
                served(sidecar, text)
            eventually(lambda: len(receiver.bodies) == 2, "both switches")
        kept.write_bytes(b"\n".join(receiver.bodies))
        asked = ("history", "verify", "--state-dir", str(state))
        proved = ("--anchor-key", str(key.with_suffix(".pub")))
        in_file, in_database = (*asked, *proved, "--anchors", str(kept)), (*asked, *proved, *database)
        whole = len(records(state))
        assert f"{whole} records" in run(*asked).stdout
        assert "as 2 anchors prove" in run(*in_file).stdout
        assert run(*in_database).returncode == 0
        cut_tail(state)
        assert run(*asked).returncode == 0
        for command in (in_file, in_database):
            found = run(*command)
            assert (found.returncode, f"records {whole} to {whole} are missing" in found.stdout) == (1, True)
        write(document, "dc1")
        with SidecarProcess(f"file:{document}", *flags, folder=tmp_path):
            eventually(lambda: len(records(state)) >= whole, "a record in the place of the removed one")
        assert run(*asked).returncode == 0
        found = run(*in_file)
        assert (found.returncode, f"record {whole} is not the one that was written" in found.stdout) == (1, True)
