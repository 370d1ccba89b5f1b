"""Bounds of the server within the memory that there is."""

from __future__ import annotations

from sidecar.server.settings import MIB, ServerSettings


def test_bounds_are_lowered_to_the_memory() -> None:
    """Each to its share; what is lower already stays, and without a limit nothing changes."""
    settings = ServerSettings()
    assert settings.within(None) is settings
    small = settings.within(64 * MIB)
    assert (small.max_message_size, small.memo_bytes, small.large_bytes) == (4 * MIB, 4 * MIB, 8 * MIB)
    assert (small.update_bytes, small.max_streams, small.max_connections) == (2 * MIB, 128, 256)
    assert settings.within(1024 * MIB) == settings
    assert ServerSettings(max_streams=7).within(64 * MIB).max_streams == 7
    # However little there is, ordinary requests are answered.
    assert settings.within(1).max_message_size == 256 * 1024
