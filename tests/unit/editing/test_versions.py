"""Which document a rollback goes back to."""

from __future__ import annotations

import pytest

from sidecar.editing.versions import Version, chosen
from sidecar.errors import ChangeRefused

_A, _B, _C = (Version(text, 0) for text in (b"dc1\n", b"dc2\n", b"dc3\n"))


def test_without_a_revision_it_is_the_one_before() -> None:
    """The newest that differs from what is there, also if the newest is what is there, or is not remembered yet."""
    assert chosen([_C, _B, _A], _C.revision, None) is _B
    assert chosen([_B, _A], _C.revision, None) is _B
    assert chosen([_C, _C, _A], _C.revision, None) is _A
    with pytest.raises(ChangeRefused, match="there is no earlier document"):
        chosen([_C], _C.revision, None)


def test_a_revision_may_be_shortened() -> None:
    """The beginning of a revision will do where it fits one document only; what was in force twice is one."""
    assert chosen([_C, _A, _B, _A], _C.revision, _A.revision[:4]).text == _A.text
    with pytest.raises(ChangeRefused, match="give more digits"):
        chosen([_C, _B, _A], _C.revision, "")
    with pytest.raises(ChangeRefused, match=f"the newest are {_C.revision}"):
        chosen([_C, _B, _A], _C.revision, "zzz")
