"""English for what operators must know of a view."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.outage import MARKED
from sidecar.view import HealthNotice, Override, OverrideProblem, OverrideProblemKind, SkippedProbe, SkipReason
from sidecar.wording import health_text, not_serving, override_text, source_text, view_text
from tests.views import NOTHING, SYNCED, loaded, view

DECIDES = "OVERRIDDEN by file:/o since 2001-09-09T01:46:40Z: remove the file to end it"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (SYNCED, ""),
        (SourceStatus(), "not read yet"),
        (SourceStatus(SourceState.DISCONNECTED, from_snapshot=True), "not read yet; serving the snapshot"),
        (SourceStatus(SourceState.DISCONNECTED, "timeout", from_snapshot=True), "timeout"),
    ],
)
def test_the_source_says_why_it_is_not_synced(status: SourceStatus, text: str) -> None:
    """In its own words; before it was read for the first time, in ours."""
    assert source_text(status) == text


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (None, DECIDES),
        (
            OverrideProblem(OverrideProblemKind.UNREADABLE, "permission denied"),
            f"{DECIDES}; the override is not read: permission denied",
        ),
        (
            OverrideProblem(OverrideProblemKind.REFUSED, "default: nonsense"),
            f"{DECIDES}; the override file:/o is refused: default: nonsense",
        ),
        (
            OverrideProblem(OverrideProblemKind.NEEDED),
            f"{DECIDES}; its file is gone, and there is no other document",
        ),
    ],
)
def test_an_override_says_that_it_decides_and_what_is_wrong(problem: OverrideProblem | None, text: str) -> None:
    """With how to end it; one that was never good says only what is wrong."""
    override = Override("file:/o", loaded("dc9"), 10**18, problem)
    assert override_text(override) == text
    assert override_text(replace(override, loaded=None)) == text.removeprefix(DECIDES).removeprefix("; ")


def test_health_checks_say_what_does_not_count_and_what_is_not_made() -> None:
    """Verdicts with their reasons; of the probes the first, with why, and how many more there are."""
    skipped = (
        SkippedProbe("dc1", "tcp a:1", SkipReason.NOT_ALLOWED, target="a:1"),
        SkippedProbe("dc2", "tcp b:1", SkipReason.TOO_MANY, count=64),
        *(SkippedProbe("dc3", "tcp c:1", SkipReason.BUSY, count=128) for _ in range(5)),
    )
    busy = "tcp c:1 of dc3: 128 earlier ones have not ended yet"
    assert health_text(HealthNotice({"dc1": MARKED}, skipped)) == (
        "health checks judge every datacenter down, so they are taken for broken and do NOT count: dc1: marked; "
        "these probes are not made: tcp a:1 of dc1: --probe-hosts does not allow a:1; "
        f"tcp b:1 of dc2: there are 64 already; {busy}; {busy}; {busy}; and 2 more"
    )


def test_a_view_says_all_of_it_in_one_line() -> None:
    """Override, source and health checks, in this order; nothing where all is well."""
    assert view_text(view("dc1")) == ""
    troubled = replace(
        view("dc1", status=SourceStatus(SourceState.DISCONNECTED, "timeout")),
        override=Override("file:/o", problem=OverrideProblem(OverrideProblemKind.UNREADABLE, "denied")),
        health=HealthNotice(ignored={"dc1": MARKED}),
    )
    assert view_text(troubled).split("; ")[:2] == ["the override is not read: denied", "timeout"]
    assert "do NOT count: dc1: marked" in view_text(troubled)


def test_without_a_document_the_error_names_the_state_of_the_source() -> None:
    """The same error over gRPC and HTTP."""
    assert str(not_serving(NOTHING)) == "no routing document yet; the source is CONNECTING: not read yet"
