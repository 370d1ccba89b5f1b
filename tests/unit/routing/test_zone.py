"""Times as people read them."""

from __future__ import annotations

from contextvars import copy_context
from datetime import UTC, timedelta, timezone

import pytest

from sidecar.routing.scalars import parse_time
from sidecar.routing.zone import show_time, use_zone

_AT = 1_763_805_600_123_456_789


def test_a_time_has_date_and_zone() -> None:
    """Without a choice it is UTC; in a zone it has its offset; both are read as a time again."""
    assert show_time(_AT) == "2025-11-22T10:00:00Z"

    def elsewhere() -> None:
        use_zone(timezone(timedelta(hours=8)))
        assert show_time(_AT) == "2025-11-22T18:00:00+08:00"
        assert parse_time(show_time(_AT)) == _AT // 10**9 * 10**9
        use_zone(timezone(timedelta(0)))
        assert show_time(_AT) == "2025-11-22T10:00:00Z"
        use_zone(UTC)
        assert show_time(_AT) == "2025-11-22T10:00:00Z"

    copy_context().run(elsewhere)
    assert show_time(_AT) == "2025-11-22T10:00:00Z"


@pytest.mark.parametrize(("at_ns", "text"), [(10**30, "after the year 9999"), (-(10**30), "before the year 1")])
def test_a_time_beyond_the_calendar_is_said(at_ns: int, text: str) -> None:
    """What no calendar has is no error, in any zone."""
    assert show_time(at_ns) == text

    def elsewhere() -> None:
        use_zone(timezone(timedelta(hours=8)))
        assert show_time(at_ns) == text

    copy_context().run(elsewhere)
