"""The sidecar as a process, where it takes no server to see it."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from sidecar import daemon

_HEARING = """
import signal, threading
from sidecar.daemon import _StopSignals

signals = _StopSignals()
# The thread that waits is not woken by a signal that another one was given.
threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
signals.wait()
print("heard")
"""


def test_a_signal_is_heard_whichever_thread_is_given_it() -> None:
    """The kernel may give a signal to any thread, and at the moment before the main one goes to sleep."""
    done = subprocess.run([sys.executable, "-c", _HEARING], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "heard\n", done.stderr


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1024, 4096), (4096, 4096)),
        ((1024, 2**20), (65_536, 2**20)),
        ((1024, resource.RLIM_INFINITY), (65_536, resource.RLIM_INFINITY)),
        ((100_000, 2**20), None),
        ((4096, 4096), None),
    ],
)
def test_the_limit_of_descriptors_is_raised(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], expected: tuple[int, int] | None
) -> None:
    """The soft limit is raised to the hard one, at most to what all bounds on connections need, and never lowered."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: calls.append(new))
    daemon._raise_descriptor_limit()
    assert calls == ([expected] if expected else [])
