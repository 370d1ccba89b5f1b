"""Counts of workers, as the command line and the page take them."""

from __future__ import annotations

import pytest

from sidecar.errors import BadRequest
from sidecar.routing.candidates import MAX_COUNTED, Worker, looks_like_counts, parse_counts


def test_counts_stand_for_workers() -> None:
    """Each has an address of its own; blanks and empty parts do not matter, and nothing is nobody."""
    expected = (Worker("dc1-1", "dc1"), Worker("dc1-2", "dc1"), Worker("dc2-1", "dc2"))
    assert parse_counts("dc1=2,dc2=1") == parse_counts(" dc1=2 , dc2=1, ") == expected
    assert parse_counts("") == parse_counts("dc1=0") == ()
    assert len(parse_counts(f"dc1={MAX_COUNTED - 1},dc2=1")) == MAX_COUNTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "expected counts such as dc1=3,dc2=2") for text in ("dc1", "dc1=", "=3", "dc1=3;dc2=1", "dc1=-1")),
        ("dc1=99999999999999999999", "expected counts"),
        (f"dc1={MAX_COUNTED},dc2=1", "found 10,001 workers, expected at most 10,000 in all"),
        ("dc1=1,dc1=2", "found dc1 a second time, expected each datacenter once"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    """What is no list of counts, or too many, is refused with what was found and what is expected."""
    with pytest.raises(BadRequest, match=message) as refused:
        parse_counts(text)
    assert (refused.value.field, str(refused.value)) == ("candidates", f"candidates: {refused.value.message}")


@pytest.mark.parametrize(
    ("text", "looks"),
    [("dc1=3, dc2=2", True), ("dc1=99999", True), ("dc1", False), ("a=b/workers.json", False), ("", False)],
)
def test_the_form_tells_counts_from_files(text: str, looks: bool) -> None:
    """A path is not taken for counts, and counts that are out of bounds not for a path."""
    assert looks_like_counts(text) is looks
