"""The states of a source, as one table."""

from __future__ import annotations

from itertools import product

import pytest

from sidecar.lifecycle import SourceEvent, SourceState, SourceStatus, next_state
from sidecar.pb.dcsidecar.v1 import routing_pb2


@pytest.mark.parametrize(("state", "event"), list(product(SourceState, SourceEvent)))
def test_every_event_leads_somewhere_from_every_state(state: SourceState, event: SourceEvent) -> None:
    """What the source said last decides; only what was never asked can still be connecting."""
    expected = {
        SourceEvent.ACCEPTED: SourceState.SYNCED,
        SourceEvent.REFUSED: SourceState.REJECTED,
        SourceEvent.ABSENT: SourceState.MISSING,
        SourceEvent.LOST: SourceState.CONNECTING if state is SourceState.CONNECTING else SourceState.DISCONNECTED,
    }
    assert next_state(state, event) is expected[event]


@pytest.mark.parametrize("state", SourceState)
def test_only_what_cannot_be_asked_is_stale(state: SourceState) -> None:
    """A source that answers, if with a refused text or none, is not."""
    assert SourceStatus(state=state).stale is (state is SourceState.DISCONNECTED)


def test_states_are_those_of_the_contract() -> None:
    """Names and numbers are equal, so none needs a translation."""
    contract = dict(routing_pb2.SourceState.items())
    ours = {f"SOURCE_STATE_{state.name}": state.value for state in SourceState}
    assert ours | {"SOURCE_STATE_UNSPECIFIED": 0} == contract
