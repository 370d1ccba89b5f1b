"""What holds of every operation, whatever the document and however it is written."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.editing import operations
from sidecar.editing.impact import Impact
from sidecar.editing.meta import ChangeMeta, with_meta
from sidecar.editing.rewrite import rewrite
from sidecar.editing.safety_rules import equivalent
from sidecar.errors import ChangeRefused
from sidecar.routing.document import parse_document
from sidecar.routing.model import Active, Ramp, RoutingDocument
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import format_time
from sidecar.routing.schedule import weights_at
from sidecar.yaml_reader import Tree
from tests import documents
from tests.unit.editing import texts

Operation = Callable[[Tree, RoutingDocument], Tree]


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """Write a valid document in any manner."""
    tree = draw(documents.documents.filter(bool))
    return draw(texts.written(tree)).encode()


def _applied(text: bytes, operation: Operation) -> tuple[RoutingDocument, RoutingDocument, bytes]:
    parsed = parse_text(text)
    assert parsed.document is not None
    result = rewrite(parsed, operation(parsed.tree, parsed.document))
    assert result.document is not None
    return parsed.document, result.document, result.text


def _others_stay(before: RoutingDocument, after: RoutingDocument, app: str | None, jobs: tuple[str, ...] = ()) -> None:
    """Check that only the named application (None: the default route, and who inherits it) changed."""
    for subject in Impact(before, after, 0).subjects:
        if subject.app != app and app is not None:
            assert after.route(*_key(subject.app, subject.job)) == before.route(*_key(subject.app, subject.job))
        elif subject.job and subject.job not in jobs and app is not None:
            old, new = before.route(subject.app, subject.job), after.route(subject.app, subject.job)
            assert (old.selector == new.selector) or old.selector == before.route(subject.app).selector
    assert after.drills == before.drills
    assert after.datacenters == before.datacenters
    assert after.meta == before.meta


def _key(app: str, job: str) -> tuple[str, str]:
    return app, job


@settings(deadline=None, max_examples=60)
@given(written(), documents.apps, documents.datacenters)
def test_a_switch_switches_one_application_only(text: bytes, app: str, to: str) -> None:
    """After a switch the application is where it was sent, and nothing else has changed its meaning."""
    before, after, _ = _applied(text, lambda tree, _: operations.switch(tree, to, [app]))
    assert after.route(app).selector == Active(to)
    _others_stay(before, after, app)


@settings(deadline=None, max_examples=60)
@given(written(), documents.apps, documents.jobs, documents.datacenters)
def test_a_pin_pins_one_job_only(text: bytes, app: str, job: str, to: str) -> None:
    """After a pin the job is where it was sent, its application where it was; unpinned, it goes with it again."""
    before, after, result = _applied(text, lambda tree, _: operations.pin(tree, app, job, to))
    assert after.route(app, job).selector == Active(to)
    assert after.route(app) == before.route(app)
    _others_stay(before, after, app, (job,))
    _, loose, _ = _applied(result, lambda tree, _: operations.unpin(tree, app, job))
    assert loose.route(app, job) == before.route(app)


@settings(deadline=None, max_examples=60)
@given(written(), documents.datacenters, st.lists(documents.apps, max_size=2, unique=True), st.text(max_size=9))
def test_a_drill_comes_and_goes_without_a_trace(text: bytes, datacenter: str, apps: list[str], reason: str) -> None:
    """A drill that is started and stopped leaves the meaning as it was, and no line more or less."""
    start, until = (format_time(documents.NOON + minutes * 60_000_000_000) for minutes in (0, 30))

    def begin(tree: Tree, _: RoutingDocument) -> Tree:
        return operations.start_drill(tree, datacenter, start=start, until=until, apps=apps, reason=reason)

    before, after, result = _applied(text, begin)
    assert after.drills[:-1] == before.drills
    assert after.drills[-1].datacenter == datacenter
    assert after.drills[-1].reason.split() == reason.split()
    _, ended, again = _applied(result, lambda tree, doc: operations.stop_drills(tree, [len(doc.drills) - 1]))
    assert equivalent(before, ended)
    if len(before.drills) > 0 and b"\r" not in text and text.endswith(b"\n"):
        assert again.count(b"\n") == text.count(b"\n")


@settings(deadline=None, max_examples=60)
@given(written(), documents.datacenters, st.booleans())
def test_a_mark_changes_nothing_but_the_service(text: bytes, datacenter: str, available: bool) -> None:
    """A mark leaves all routes and drills as they are, and other datacenters in or out of service as they were."""
    document = parse_document(text)
    if datacenter not in document.datacenter_names():
        return
    before, after, _ = _applied(text, lambda tree, doc: operations.mark(tree, doc, datacenter, available=available))
    assert after.datacenters is not None
    assert after.datacenters[datacenter].available == available
    for name, entry in (before.datacenters or {}).items():
        assert after.datacenters[name].cidrs == entry.cidrs
        assert name == datacenter or after.datacenters[name].available == entry.available
    assert (after.default, after.apps, after.drills, after.meta) == (
        before.default,
        before.apps,
        before.drills,
        before.meta,
    )


@settings(deadline=None, max_examples=60)
@given(written(), documents.apps | st.none(), documents.instants)
def test_a_pause_moves_nobody(text: bytes, app: str | None, now: int) -> None:
    """Pausing and resuming keep the weights of the moment, for the application and for all others."""
    try:
        before, after, result = _applied(text, lambda tree, doc: operations.pause_ramp(tree, doc, app, now))
    except ChangeRefused:
        selector = operations.route_of(parse_document(text), app).selector
        assert not isinstance(selector, Ramp) or now >= selector.start_ns + selector.duration_ns
        return
    paused, ramp = operations.route_of(after, app).selector, operations.route_of(before, app).selector
    assert paused is not None
    assert ramp is not None
    assert weights_at(paused, 0) == weights_at(ramp, now)
    _, resumed, _ = _applied(result, lambda tree, doc: operations.resume_ramp(tree, doc, app, now + 12_345_678))
    again = operations.route_of(resumed, app).selector
    assert isinstance(again, Ramp)
    assert weights_at(again, now + 12_345_678) == weights_at(ramp, now)
    assert resumed.meta == before.meta


@settings(deadline=None, max_examples=60)
@given(written(), st.text(max_size=9), st.text(max_size=9))
def test_a_stamp_means_nothing(text: bytes, reason: str, ticket: str) -> None:
    """Who, when and why change no route, and are read back as they were said."""
    stamp = ChangeMeta(by="lin", at_ns=documents.NOON, reason=reason, ticket=ticket)
    before, after, _ = _applied(text, lambda tree, _: with_meta(tree, stamp))
    assert equivalent(before, after)
    assert (after.meta["by"], after.meta.get("reason", ""), after.meta.get("ticket", "")) == ("lin", reason, ticket)
    assert after.meta.get("notes") == before.meta.get("notes")
