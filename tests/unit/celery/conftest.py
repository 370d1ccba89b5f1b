"""A sidecar to ask: the real server on a real table, in this process."""

from tests.unit.client.conftest import sidecar

__all__ = ["sidecar"]
