"""Keeps over restarts which datacenters work has left: a restart must not send it back."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sidecar.atomic_file import Saver, replace_file
from sidecar.routing.failover import FailoverState, FailoverStates, Phase, remembered
from sidecar.routing.outage import Fault, FaultKind, ProbeFailure
from sidecar.routing.plain import fault_plain
from sidecar.routing.scalars import parse_time
from sidecar.routing.wording import fault_text
from sidecar.state_file import read_state_file
from sidecar.view import View

log = logging.getLogger(__name__)

_FORMAT = 1
_NAME = "failovers"
# 64 MiB, the chart's memory limit, are too many. Each failover takes some 150 bytes.
_MAX_READ = 16 * 1024 * 1024


def load(folder: Path, source: str) -> FailoverStates:
    """Return the stored states for this source; a file that cannot be used is a warning, and gives none."""
    path = folder / _NAME
    try:
        facts = json.loads(read_state_file(path, max_bytes=_MAX_READ))
        if facts["format"] != _FORMAT or facts["source"] != source:
            log.warning("%s is not used: it is of another source or version", path)
            return {}
        entries = facts["left"]
        # An older version wrote the text of each fault only.
        faults = facts.get("faults") or [{"kind": FaultKind.OTHER.value, "text": str(entry[4])} for entry in entries]
        return {
            ((str(app), str(job)), str(name)): FailoverState(Phase.FAILED, int(since), int(since), _fault(fault))
            for (app, job, name, since, _), fault in zip(entries, faults, strict=True)
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("%s is not used: %s", path, error.strerror)
    except (ValueError, OverflowError, KeyError, TypeError, IndexError, RecursionError):
        log.warning("%s is not used: it is torn, or not a list of failovers", path)
    return {}


def save(folder: Path, source: str, failover_states: FailoverStates) -> None:
    """Replace the stored states, whole or not at all. Raises OSError.

    `left` has the text of each fault, for older versions that read the file.
    """
    kept = remembered(failover_states)
    facts = {
        "format": _FORMAT,
        "source": source,
        "left": [[*scope, name, state.failed_ns, fault_text(state.fault)] for (scope, name), state in kept.items()],
        "faults": [fault_plain(state.fault) for state in kept.values()],
    }
    replace_file(folder, _NAME, json.dumps(facts).encode())


def _fault(plain: Mapping[str, Any]) -> Fault:
    """Return the fault of `fault_plain`. Raises KeyError, TypeError, ValueError for anything else."""
    return Fault(
        FaultKind(plain["kind"]),
        workers=int(plain.get("workers", 0)),
        needed=int(plain.get("needed", 0)),
        probes=tuple(ProbeFailure(str(each["probe"]), str(each["error"])) for each in plain.get("probes", ())),
        since_ns=parse_time(str(plain.get("since", ""))) or 0,
        text=str(plain.get("text", "")),
    )


class FailoverStore(Saver[FailoverStates]):
    """Saves each failover and return."""

    def __init__(self, folder: Path, source: str) -> None:
        loss = "a failover could not be saved: a restart would forget it"
        super().__init__("failovers", partial(save, folder, source), loss=f"{loss} ({folder})")

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        earlier: object = before.state.failed_over if before.state else {}
        if after.state is None or after.state.failed_over is earlier:
            return
        if after.state.failed_over != earlier:
            self.put(after.state.failover_states)
