"""Anchors that were kept, and what a journal looks like beside them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.audit.anchor_keys import verifying_key
from sidecar.audit.chain_head import ChainHead
from sidecar.audit.journal_reader import verify
from sidecar.audit.kept_anchors import KeptAnchors, anchors_in_file, verified_anchors
from sidecar.errors import ConfigError
from tests.ssh_keys import Signer
from tests.unit.audit.anchors import anchored, keep
from tests.unit.audit.test_journal import SIZE, record, written


@pytest.fixture(scope="module")
def me(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return the sidecar's key."""
    return Signer(tmp_path_factory.mktemp("key"), "me")


def read(file: Path, signer: Signer) -> KeptAnchors:
    """Return what is right and wrong with a file of anchors."""
    return verified_anchors(anchors_in_file(file), verifying_key(signer.key.with_suffix(".pub")))


def test_an_unchanged_journal_agrees_with_its_anchors(tmp_path: Path, me: Signer) -> None:
    """Each anchor counts, the newest and those of earlier records."""
    kept = read(keep(tmp_path / "kept", anchored(tmp_path / "audit", me.key, 3)), me)
    assert (len(kept.heads), kept.problems) == (3, ())
    assert verify(tmp_path / "audit", (), kept.heads).problems == ()


def test_a_removed_tail_is_named(tmp_path: Path, me: Signer) -> None:
    """A shorter chain with a head to match is whole by itself; the anchors have the missing numbers."""
    kept = read(keep(tmp_path / "kept", anchored(tmp_path / "audit", me.key, 4)), me)
    shutil.rmtree(tmp_path / "audit")
    written(tmp_path / "audit", 2)
    assert verify(tmp_path / "audit").problems == ()
    (problem,) = verify(tmp_path / "audit", (), kept.heads).problems
    assert problem.startswith("records 3 to 4 are missing at the end, by the anchor of ")
    assert "kept, line 4" in problem


def test_a_rewritten_tail_is_named(tmp_path: Path, me: Signer) -> None:
    """A chain that was computed anew, and went on, has other records than those of the anchors."""
    kept = read(keep(tmp_path / "kept", anchored(tmp_path / "audit", me.key, 3)), me)
    shutil.rmtree(tmp_path / "audit")
    journal = written(tmp_path / "audit", 2)
    for number in (7, 8, 9):
        journal.append([record(number)])
    journal.close()
    assert verify(tmp_path / "audit").problems == ()
    (problem,) = verify(tmp_path / "audit", (), kept.heads).problems
    assert problem.startswith("record 3 is not the one that was written, by the anchor of ")


def test_records_that_made_room_are_not_missed(tmp_path: Path, me: Signer) -> None:
    """An anchor of a record that the bound on the size removed contradicts nothing."""
    first = anchored(tmp_path / "audit", me.key, 1)
    written(tmp_path / "audit", 200, max_bytes=SIZE // 100)
    kept = read(keep(tmp_path / "kept", first), me)
    verdict = verify(tmp_path / "audit", (), kept.heads)
    assert verdict.first > 1
    assert verdict.problems == ()


def test_wrong_anchors_are_named_and_do_not_count(tmp_path: Path, me: Signer) -> None:
    """An altered one, one by another key and something else are named with their lines."""
    (good,) = anchored(tmp_path / "audit", me.key, 1)
    (foreign,) = anchored(tmp_path / "other", Signer(tmp_path, "other").key, 1)
    altered = replace(good, head=ChainHead(9, good.head.digest))
    file = keep(tmp_path / "kept", [good, altered, foreign])
    with file.open("a") as more:
        more.write('{"number": true}\nnonsense\n')
    kept = read(file, me)
    assert [head.number for head, _ in kept.heads] == [1]
    expected = (
        "line 2: the anchor of record 9 does not count: its signature is wrong",
        "line 3: the anchor of record 1 does not count: it is signed by another key, SHA256:",
        "line 4: found no anchor: expected number, hash, source, at and signature",
        "line 5: found no anchor: Expecting value",
    )
    for problem, start in zip(kept.problems, expected, strict=True):
        assert problem.startswith(f"{file}, {start}")


def test_what_a_webhook_got_is_read(tmp_path: Path, me: Signer) -> None:
    """A whole payload counts by its anchor; one that was sent without is left out; none at all proves nothing."""
    (anchor,) = anchored(tmp_path / "audit", me.key, 1)
    file = tmp_path / "kept"
    without = json.dumps({"delivery": "b", "events": []})
    file.write_text(f"{json.dumps({'delivery': 'a', 'anchor': anchor.plain()})}\n\n{without}\n")
    assert (len(read(file, me).heads), read(file, me).problems) == (1, ())
    file.write_text(without)
    assert read(file, me).problems == ("found no anchor that this key signed, so nothing is proved",)
    with pytest.raises(ConfigError, match=r"--anchors: .*missing cannot be read"):
        read(tmp_path / "missing", me)
