"""The documents that a user wrote from here, as far as they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli import earlier
from sidecar.cli.earlier import ChangeMemory
from sidecar.editing.draft import CurrentDocument, Edit, MetaPolicy, plan
from sidecar.editing.meta import ChangeMeta
from sidecar.routing.parsed_text import parse_text

_KEY = "zookeeper://zk:2181/routing"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "dc-sidecar" / "changes"


def _write(old: bytes, new: bytes, key: str = _KEY, at_ns: int = 1) -> None:
    edit = Edit(make=lambda *_: parse_text(new), meta=MetaPolicy.NEVER)
    ChangeMemory(key).add(plan(CurrentDocument(parse_text(old)), edit, ChangeMeta(by="lin", at_ns=at_ns)))


def _texts(key: str = _KEY) -> list[bytes]:
    return [version.text for version in ChangeMemory(key).versions(100, 0.0)]


def test_the_newest_stands_first_and_each_document_once(home: Path) -> None:
    """The document that was there counts too; going back puts it first again."""
    _write(b"dc1\n", b"dc2\n")
    _write(b"dc2\n", b"dc3\n")
    _write(b"dc3\n", b"dc1\n")
    assert _texts() == [b"dc1\n", b"dc3\n", b"dc2\n"]
    assert [file.stat().st_mode & 0o777 for file in home.iterdir()] == [0o600]


def test_it_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many documents of a key, of so many bytes together, and so many keys."""
    for number in range(15):
        _write(f"dc{number}\n".encode(), f"dc{number + 1}\n".encode())
    assert _texts()[0] == b"dc15\n"
    assert len(_texts()) == 10
    monkeypatch.setattr(earlier, "_KEPT_BYTES", 12)
    _write(b"dc15\n", b"dc16\n")
    assert _texts() == [b"dc16\n", b"dc15\n"]
    monkeypatch.setattr(earlier, "_KEYS", 3)
    for number in range(5):
        _write(b"dc1\n", b"dc2\n", key=f"{_KEY}{number}")
    assert len([*home.iterdir()]) == 3


def test_keys_are_kept_apart(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path of a file is another key in another folder."""
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    _write(b"dc1\n", b"dc2\n", key="file:routing.yaml")
    assert _texts(f"file:{tmp_path}/one/routing.yaml") == [b"dc2\n", b"dc1\n"]
    monkeypatch.chdir(tmp_path)
    assert _texts("file:routing.yaml") == []
    assert len([*home.iterdir()]) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"key": 1, "versions": 2}', b"\xff"])
def test_what_cannot_be_read_or_written_stops_no_change(home: Path, content: bytes) -> None:
    """A broken file counts as empty; a folder that cannot be written is no error."""
    _write(b"dc1\n", b"dc2\n")
    (file,) = home.iterdir()
    file.write_bytes(content)
    assert _texts() == []
    file.unlink()
    home.rmdir()
    home.write_text("a file where the folder should be")
    _write(b"dc1\n", b"dc2\n")
    assert _texts() == []
