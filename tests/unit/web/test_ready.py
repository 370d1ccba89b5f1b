"""What keeps a sidecar from being ready, as /readyz has it."""

from sidecar.counters import ProcessCounts
from sidecar.web.alerts import failing
from tests.views import view


def test_it_is_ready_while_one_process_takes_calls() -> None:
    """A lost worker process makes it not unready while another answers; without any there is nobody for calls."""
    now = view("dc1")
    assert failing(now, ProcessCounts(), stopping=False) == {}
    assert failing(now, ProcessCounts(wanted=2, serving=1, lost=1), stopping=False) == {}
    why = failing(now, ProcessCounts(wanted=2, serving=0, lost=2), stopping=False)
    assert why == {"workers": "none of 2 processes takes calls"}
    assert set(failing(now, ProcessCounts(), stopping=True)) == {"process"}
