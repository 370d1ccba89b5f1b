"""What one document may change at once."""

from __future__ import annotations

import pytest

from sidecar.errors import DocumentRejected
from sidecar.routing.document import parse_document
from sidecar.routing.scalars import parse_time
from sidecar.trust.admission import Admissions
from sidecar.trust.change_limits import ChangeLimits
from sidecar.trust.limit_rules import LimitKind, LimitRule, read_limit

NOW = parse_time("2026-11-22T10:00:00Z") or 0
BEFORE = b"""\
datacenters: {dc1: {}, dc2: {}, dc3: {}}
default: {active: dc1, backups: [dc2, dc3]}
apps: {billing: dc1, reports: dc1, payments-eu: {active: dc1, backups: [dc2]}}
"""


def refusal(
    after: bytes, *rules: str, before: bytes | None = BEFORE, exempt: int | None = None, signers: int = 0
) -> str:
    """Return why a change is refused, "" where it is not."""
    limits = ChangeLimits(
        [rule for text in rules if (rule := read_limit(text))],
        exempt=exempt,
        signers_of=lambda _: ["somebody"] * signers,
    )
    judges = Admissions([limits])
    judges.check_text(after, before, NOW)
    earlier = parse_document(before) if before is not None else None
    try:
        judges.check_change(after, parse_document(after), earlier, NOW)
    except DocumentRejected as error:
        return str(error)
    return ""


def test_few_applications_may_move_at_once() -> None:
    """Those whose datacenters change count, a job or the default route too; shares within the same do not."""
    two = BEFORE.replace(b"billing: dc1, reports: dc1", b"billing: dc2, reports: dc2")
    assert "--max-change apps=1: 2 applications would change their datacenters (billing, reports)" in refusal(
        two, "apps=1"
    )
    assert not refusal(two, "apps=2")
    assert not refusal(two, "apps=1", before=None)
    everything = BEFORE.replace(b"default: {active: dc1", b"default: {active: dc3").replace(
        b"billing: dc1", b"billing: dc2"
    )
    assert "2 applications would change their datacenters (the default route, billing)" in refusal(everything, "apps=1")
    job = BEFORE.replace(b"billing: dc1", b'billing: {active: dc1, jobs: {"7": dc2}}')
    assert "1 applications" in refusal(job, "apps=0")
    split = BEFORE.replace(b"billing: dc1", b"billing: {split: {dc1: 9, dc2: 1}}")
    assert not refusal(split.replace(b"9", b"5"), "apps=0", before=split)


def test_later_moments_count_too() -> None:
    """The start of a drill and the end of a ramp are judged when the document is written."""
    ramp = b'{ramp: {from: dc1, to: dc2, start: "2026-11-22T11:00:00Z", duration: 1s}}'
    moved = BEFORE.replace(b"billing: dc1, reports: dc1", b"billing: " + ramp + b", reports: " + ramp)
    assert "from 2026-11-22T11:00:01Z" in refusal(moved, "apps=1")
    drill = b'drills: [{datacenter: dc1, start: "2026-11-22T12:00:00Z", until: "2026-11-22T13:00:00Z"}]\n'
    marked = BEFORE.replace(b"dc3: {}", b"dc3: {available: false}")
    said = refusal(marked + drill, "down=1")
    assert "down=1: 2 datacenters would be out of service (dc1, dc3) from 2026-11-22T12:00:00Z" in said
    many = ", ".join(
        f'{{datacenter: dc1, start: "2026-12-01T00:00:{n:02}Z", until: "2026-12-02T00:00:00Z"}}' for n in range(60)
    )
    assert "60 future drills and ramps, expected 50 at most" in refusal(
        BEFORE + f"drills: [{many}]\n".encode(), "down=3"
    )


def test_datacenters_may_not_go_together() -> None:
    """Also for the first document; one that makes it no worse is taken."""
    both = BEFORE.replace(b"dc1: {}, dc2: {}", b"dc1: {available: false}, dc2: {available: false}")
    assert "2 datacenters would be out of service (dc1, dc2)" in refusal(both, "down=1")
    assert "2 datacenters" in refusal(both, "down=1", before=None)
    assert not refusal(both, "down=2")
    assert not refusal(both.replace(b"billing: dc1", b"billing: dc3"), "down=1", before=both)


def test_applications_keep_datacenters() -> None:
    """Of a pattern, or all; those that a drill takes away are not left."""
    fewer = BEFORE.replace(b"payments-eu: {active: dc1, backups: [dc2]}", b"payments-eu: {active: dc1, backups: []}")
    said = refusal(fewer, "left:payments-*=2")
    assert "left:payments-*=2: payments-eu would have 1 datacenters in service" in said
    assert not refusal(fewer, "left:billing=2")
    marked = BEFORE.replace(b"dc2: {}", b"dc2: {available: false}")
    assert "payments-eu would have 1" in refusal(marked, "left=2")


def test_enough_signers_are_exempt() -> None:
    """The message says how many; without the option nothing is exempt."""
    moved = BEFORE.replace(b"billing: dc1", b"billing: dc2")
    assert "or have it signed by 2" in refusal(moved, "apps=0", exempt=2, signers=1)
    assert not refusal(moved, "apps=0", exempt=2, signers=2)
    assert "or decide by --override" in refusal(moved, "apps=0", signers=9)


@pytest.mark.parametrize("text", ["apps", "apps=x", "down:a=1", "other=1", "left:=2"])
def test_wrong_rules_are_none(text: str) -> None:
    """The configuration then says what is expected."""
    assert read_limit(text) is None
    assert read_limit("left:a-*=2") == LimitRule(LimitKind.LEFT, 2, "a-*")
    assert str(read_limit(" down=1 ")) == "down=1"
