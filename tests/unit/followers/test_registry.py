"""Who follows, remembered within bounds."""

from __future__ import annotations

from sidecar.followers.registry import MOST, Follower, FollowerKind, FollowerRegistry

HOUR_NS = 3600 * 10**9


def test_a_follower_is_known_by_its_newest_answer() -> None:
    """One entry for each address and subject, the one seen last first."""
    now = iter(range(10))
    registry = FollowerRegistry(clock=lambda: next(now))
    registry.saw(FollowerKind.HAPROXY, "::1", "shop dc1", "ready up 90%")
    registry.saw(FollowerKind.HAPROXY, "::1", "shop dc2", "ready up 10%")
    registry.saw(FollowerKind.HAPROXY, "::1", "shop dc1", "maint")
    assert registry.all() == (
        Follower(FollowerKind.HAPROXY, "::1", "shop dc1", "maint", 2),
        Follower(FollowerKind.HAPROXY, "::1", "shop dc2", "ready up 10%", 1),
    )


def test_followers_are_forgotten() -> None:
    """After an hour without a sign of them, and the oldest beyond the bound at once."""
    now = [0]
    registry = FollowerRegistry(clock=lambda: now[0])
    for number in range(MOST + 10):
        registry.saw(FollowerKind.HAPROXY, "::1", f"app-{number} dc1", "drain")
    assert len(registry.all()) == MOST
    assert registry.all()[-1].subject == "app-10 dc1"
    now[0] = HOUR_NS + 1
    assert registry.all() == ()
