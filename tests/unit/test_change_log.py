import logging
from dataclasses import replace

import pytest

from sidecar.change_log import log_change
from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.outage import MARKED
from sidecar.sources.base import Gray
from sidecar.view import HealthNotice, Override
from tests.views import NOTHING, loaded, view


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sidecar")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged, a line each."""
    return [record.getMessage() for record in caplog.records]


def test_a_switch_is_one_line_with_who_and_why(caplog: pytest.LogCaptureFixture) -> None:
    """A new document is one line that says who went where, with its revision and what its meta says."""
    after = view("{meta: {by: lin, reason: cooling}, default: dc2}", generation=2)
    log_change(view("default: dc1"), after)
    assert lines(caplog) == ["default: dc1 → dc2"]
    record = vars(caplog.records[0])
    assert after.state is not None
    assert (record["revision"], record["by"], record["reason"]) == (after.state.document.revision, "lin", "cooling")


def test_the_first_document_is_told_whole(caplog: pytest.LogCaptureFixture) -> None:
    """The first document's line says where everything goes."""
    log_change(NOTHING, view("default: {active: dc1, backups: [dc2]}"))
    assert lines(caplog) == ["first document: default: dc1, then dc2"]


def test_a_snapshot_is_said_to_be_one(caplog: pytest.LogCaptureFixture) -> None:
    """A start from the snapshot says so, and of when it is."""
    status = SourceStatus(state=SourceState.DISCONNECTED, error="down", from_snapshot=True, applied_at_ns=10**18)
    log_change(NOTHING, view("dc1", status=status, stale=True))
    assert "the snapshot of 2001-09-09T01:46:40Z" in lines(caplog)[0]
    assert "cannot be reached" in lines(caplog)[1]


def test_an_edit_of_a_comment_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    """An operator who saved sees that the new document arrived, also where it moves nothing."""
    log_change(view("default: dc1"), view("default: dc1 # now", generation=2))
    assert lines(caplog) == ["a new document, same routes"]


def test_many_changes_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """One line stays one line: of many different changes the first few are logged and the rest counted."""
    before = "apps:\n" + "".join(f"  a{number}: dc{number}\n" for number in range(8))
    after = "apps:\n" + "".join(f"  a{number}: dc{number + 1}\n" for number in range(8))
    log_change(view(before), view(after, generation=2))
    assert lines(caplog)[0].endswith("a4: dc4 → dc5; and 3 more changes")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (SourceState.DISCONNECTED, "cannot be reached"),
        (SourceState.REJECTED, "is refused"),
        (SourceState.MISSING, "no routing document"),
    ],
)
def test_a_fault_of_the_source_is_a_warning_and_its_end_is_told(
    caplog: pytest.LogCaptureFixture, state: SourceState, words: str
) -> None:
    """What is wrong with the source is said once, with the reason and what decides meanwhile; then that it is well."""
    well = view("default: dc1")
    ill = replace(well, status=SourceStatus(state=state, error="the reason"))
    log_change(well, ill)
    log_change(ill, ill)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert words in lines(caplog)[0]
    assert "the reason" in lines(caplog)[0]
    assert well.state is not None
    assert well.state.document.revision in lines(caplog)[0]
    log_change(ill, well)
    assert lines(caplog)[1:] == ["the newest document is in force again"]
    assert {vars(record)["revision"] for record in caplog.records} == {well.state.document.revision}


def test_a_confirmation_is_no_event(caplog: pytest.LogCaptureFixture) -> None:
    """That the source confirmed the document once more is nothing to log."""
    before = view("default: dc1")
    log_change(before, replace(before, status=replace(before.status, confirmed_at_ns=5)))
    assert lines(caplog) == []


def test_an_override_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """An override that begins is an error that says what decides now and how to end it; so is its end told."""
    before = view("dc1")
    after = replace(view("dc9", generation=2), override=Override("file:/etc/o.yaml", loaded("dc9"), 10**18))
    log_change(before, after)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "OVERRIDDEN by file:/etc/o.yaml since 2001-09-09T01:46:40Z: remove the file" in lines(caplog)[0]
    log_change(after, before)
    assert "the override file:/etc/o.yaml is gone" in lines(caplog)[2]


def test_what_ends_readiness_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A document that is older than allowed, and health checks that do not count, are errors; so is their end told."""
    before = view("dc1")
    after = replace(before, overdue=True, health=HealthNotice(ignored={"dc1": MARKED}))
    log_change(before, after)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    log_change(after, before)
    assert lines(caplog)[2:] == ["ready again", "health checks recovered"]


def test_a_gray_version_is_logged_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """The warning says who gets it, and that ordinary publishes do not arrive."""
    gray = SourceStatus(SourceState.SYNCED, gray=Gray("beta", ("192.0.2.7",)), gray_since_ns=10**18)
    log_change(view("dc1"), view("dc2", status=gray))
    log_change(view("dc2", status=gray), view("dc1"))
    assert (
        "served a gray version (beta, for 192.0.2.7) since 2001-09-09T01:46:40Z; ordinary publishes do not arrive "
        "until it is ended in the config center"
    ) in lines(caplog)
    assert lines(caplog)[-1] == "the gray version ended"
