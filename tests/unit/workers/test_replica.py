"""What is in force in a worker process is what the sidecar said last, and watchers hear of it when the sidecar says."""

from __future__ import annotations

from dataclasses import replace

from sidecar.lifecycle import SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.failover import Observation
from sidecar.routing.outage import NO_WORKERS
from sidecar.routing.state import State
from sidecar.wording import view_text
from sidecar.workers.messages import ActivateView, LoadDocument
from sidecar.workers.replica import Replica
from tests.views import view_of

ONE, OTHER = b"dc1", b"dc2"


def given(replica: Replica, text: bytes, generation: int) -> State:
    """Put a document in force in a mirror, which has it already or gets it, and return the State."""
    view = view_of(State(parse_document(text), generation, 1), text)
    assert view.state is not None
    replica.prepare(LoadDocument(view.state.document.revision, text))
    replica.put(ActivateView.of(view))
    assert replica.view.state is not None
    return replica.view.state


def test_watchers_hear_when_all_have_it() -> None:
    """A view answers calls at once; listeners are called when the sidecar says so, with what they had before."""
    replica = Replica(parse_document)
    told: list[tuple[State | None, State | None]] = []
    replica.subscribe(lambda before, after: told.append((before.state, after.state)))
    first = given(replica, ONE, 1)
    second = given(replica, OTHER, 2)
    assert told == []
    assert replica.announced.state is None
    replica.announce()
    assert told == [(None, second)]
    assert replica.announced.state is second
    assert first.generation == 1


def test_the_state_stays_while_its_generation_does() -> None:
    """What only concerns the source makes no other State: what was answered under it stays remembered."""
    replica = Replica(parse_document)
    state = given(replica, ONE, 1)
    replica.put(ActivateView.of(view_of(state, ONE, status=SourceStatus(error="away"))))
    assert replica.view.state is state
    assert view_text(replica.view) == "away"


def test_the_document_in_force_outlives_a_refused_one() -> None:
    """A text that turns out to be no document takes nothing away: the next State may be of the one in force."""
    replica = Replica(parse_document)
    state = given(replica, ONE, 1)
    replica.prepare(LoadDocument("nothing", b"{"))
    replica.put(ActivateView.of(view_of(replace(state, generation=2, stale=True), ONE)))
    assert replica.view.state is not None
    assert replica.view.state.document is state.document
    assert replica.view.state.stale


def test_what_decisions_show_is_told_once() -> None:
    """What was observed comes out in its order, once."""
    replica = Replica(parse_document)
    seen = [Observation(("billing", str(number)), {"dc1": NO_WORKERS}, ()) for number in range(3)]
    for each in seen:
        replica.observe(each)
    assert replica.take_observations() == seen
    assert replica.take_observations() == []
