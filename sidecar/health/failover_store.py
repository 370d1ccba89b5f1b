"""Remembers over restarts from which datacenters work has left, so that a restart does not send it back."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

from sidecar.atomic_file import Saver, replace_file
from sidecar.routing.failover import NONE, FailoverState, FailoverStates, Phase, remembered
from sidecar.table import View

log = logging.getLogger(__name__)

_FORMAT = 1
_NAME = "failovers"


def load(folder: Path, source: str) -> FailoverStates:
    """Return what was remembered for this source; what cannot be used is a warning, and nothing."""
    path = folder / _NAME
    try:
        facts = json.loads(path.read_bytes())
        if facts["format"] != _FORMAT or facts["source"] != source:
            log.warning("%s is of another source or version, it is not used", path)
            return NONE
        return {
            ((str(app), str(job)), str(name)): FailoverState(Phase.FAILED, int(since), int(since), str(why))
            for app, job, name, since, why in facts["left"]
        }
    except FileNotFoundError:
        return NONE
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error.strerror)
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError):
        log.warning("%s is torn or no list of failovers, it is not used", path)
    return NONE


def save(folder: Path, source: str, failover_states: FailoverStates) -> None:
    """Replace what is remembered, whole or not at all. Raises OSError."""
    left = [
        [*scope, name, standing.failed_ns, standing.why]
        for (scope, name), standing in remembered(failover_states).items()
    ]
    replace_file(folder, _NAME, json.dumps({"format": _FORMAT, "source": source, "left": left}).encode())


class FailoverStore(Saver[FailoverStates]):
    """Saves each failover and return."""

    def __init__(self, folder: Path, source: str) -> None:
        loss = "a failover could not be saved: a restart would forget it"
        super().__init__("failovers", partial(save, folder, source), loss=f"{loss} ({folder})")

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        was = before.state.failed_over if before.state else {}
        if after.state is not None and after.state.failed_over != was:
            self.put(after.state.failover_states)
