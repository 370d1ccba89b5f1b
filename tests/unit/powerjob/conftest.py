"""Gives each test a PowerJob of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.powerjob.fake import FakePowerJob


@pytest.fixture
def fake() -> Iterator[FakePowerJob]:
    """Run one that asks for no password."""
    with FakePowerJob() as running:
        yield running
