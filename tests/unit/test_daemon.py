"""The sidecar as a process, where it takes no server to see it."""

from __future__ import annotations

import subprocess
import sys

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
