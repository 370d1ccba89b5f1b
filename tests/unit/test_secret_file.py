"""Secrets are read from files, and what is wrong with a file is said without its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.errors import SecretUnreadable
from sidecar.secret_file import read_secret


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"s3cret", "s3cret"), (b"s3cret\r\n\n", "s3cret"), (b" a b \n", " a b "), (b"\xc3\xa4", "ä")],
)
def test_a_secret_is_the_text_without_line_breaks_at_its_end(tmp_path: Path, content: bytes, secret: str) -> None:
    """Editors and `echo` add a line break; blanks may belong to a password."""
    (tmp_path / "secret").write_bytes(content)
    assert read_secret(tmp_path / "secret") == secret


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty, expected the secret in it"),
        (b" \n", "is empty, expected the secret in it"),
        (b"s3cret\xff", "cannot be read: it is not UTF-8 text"),
    ],
)
def test_a_file_without_a_secret_is_an_error(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """Missing, empty and binary files are distinguished; the content is not shown."""
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretUnreadable) as error:
        read_secret(tmp_path / "secret")
    assert str(error.value) == problem
