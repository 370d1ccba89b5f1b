"""`schema`."""

from __future__ import annotations

from tests.unit.cli.conftest import Run


def test_it_is_json(run: Run) -> None:
    """The schema is printed as JSON of the 2020-12 draft."""
    assert run("schema").json["$schema"].endswith("2020-12/schema")
