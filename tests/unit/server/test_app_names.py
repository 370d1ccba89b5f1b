"""The names by which schedulers ask for an application."""

from __future__ import annotations

from sidecar.server.app_names import AppNamesTracker


def test_found_under_each_name() -> None:
    """`app` comes first, whichever name is asked for; the newest request counts."""
    tracker = AppNamesTracker()
    assert tracker.find("7") == ()
    tracker.note(("7", "billing"))
    tracker.note(("billing", "7"))
    assert tracker.find("7") == tracker.find("billing") == ("billing", "7")


def test_bounded() -> None:
    """However many names are made up, the last 4096 are known and no more than about twice as many kept."""
    tracker = AppNamesTracker()
    for number in range(20_000):
        tracker.note((f"app{number}",))
    assert all(tracker.find(f"app{number}") for number in range(20_000 - 4096, 20_000))
    assert not tracker.find("app0")
    assert len(tracker._young) + len(tracker._old) <= 2 * 4097
