"""What is in force in a worker process is what the sidecar said last, and watchers hear of it when the sidecar says."""

from __future__ import annotations

from dataclasses import replace

from sidecar.lifecycle import SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.failover import Seen
from sidecar.routing.state import State
from sidecar.table import View
from sidecar.workers.messages import Document, InForce
from sidecar.workers.mirror import Mirror

ONE, OTHER = b"dc1", b"dc2"


def given(mirror: Mirror, text: bytes, generation: int) -> State:
    """Put a document in force in a mirror, which has it already or gets it, and return the State."""
    view = View(State(parse_document(text), generation, 1), text, SourceStatus())
    assert view.state is not None
    mirror.prepare(Document(view.state.document.revision, text))
    mirror.put(InForce.of(view))
    assert mirror.view.state is not None
    return mirror.view.state


def test_watchers_hear_when_all_have_it() -> None:
    """A view answers calls at once; listeners are called when the sidecar says so, with what they were told before."""
    mirror = Mirror(parse_document)
    told: list[tuple[State | None, State | None]] = []
    mirror.subscribe(lambda before, after: told.append((before.state, after.state)))
    first = given(mirror, ONE, 1)
    second = given(mirror, OTHER, 2)
    assert told == []
    assert mirror.told.state is None
    mirror.tell()
    assert told == [(None, second)]
    assert mirror.told.state is second
    assert first.generation == 1


def test_the_state_stays_while_its_generation_does() -> None:
    """What only concerns the source makes no other State: what was answered under it stays remembered."""
    mirror = Mirror(parse_document)
    state = given(mirror, ONE, 1)
    view = View(state, ONE, replace(SourceStatus(), error="away"))
    mirror.put(InForce.of(view))
    assert mirror.view.state is state
    assert mirror.view.error == "away"


def test_the_document_in_force_outlives_a_refused_one() -> None:
    """A text that turns out to be no document takes nothing away: the next State may be of the one in force."""
    mirror = Mirror(parse_document)
    state = given(mirror, ONE, 1)
    mirror.prepare(Document("nothing", b"{"))
    mirror.put(InForce.of(View(replace(state, generation=2, stale=True), ONE, SourceStatus())))
    assert mirror.view.state is not None
    assert mirror.view.state.document is state.document
    assert mirror.view.state.stale


def test_what_decisions_show_is_told_once() -> None:
    """What was observed comes out in its order, once."""
    mirror = Mirror(parse_document)
    seen = [Seen(("billing", str(number)), {"dc1": "no workers"}, ()) for number in range(3)]
    for each in seen:
        mirror.observe(each)
    assert mirror.seen() == seen
    assert mirror.seen() == []
