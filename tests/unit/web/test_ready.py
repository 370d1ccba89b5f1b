"""What keeps a sidecar from being ready, as /readyz tells it."""

from sidecar.counters import ProcessCounts
from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.table import View
from sidecar.web.status import failing


def test_it_is_ready_while_one_process_takes_calls() -> None:
    """A lost worker process makes it not unready while another answers; without any there is nobody for calls."""
    view = View(State(parse_document(b"dc1"), 1, 1), b"dc1", SourceStatus(state=SourceState.SYNCED))
    assert failing(view, ProcessCounts(), stopping=False) == {}
    assert failing(view, ProcessCounts(wanted=2, serving=1, lost=1), stopping=False) == {}
    why = failing(view, ProcessCounts(wanted=2, serving=0, lost=2), stopping=False)
    assert why == {"workers": "none of 2 processes takes calls"}
    assert set(failing(view, ProcessCounts(), stopping=True)) == {"process"}
