"""Benchmark cases: requests and documents, and the expected responses."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.state import State

# The load generator overwrites this with the number of the call, so no two requests are equal.
PLACEHOLDER = "#" * 16


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `candidates` workers per request, `apps` applications in the document.

    `cold`: no request repeats, its run is new. `strange`: in addition one worker reports something new in each request,
    so the candidates are not cached.
    """

    candidates: int
    cold: bool
    apps: int = 1
    stream: bool = False
    strange: bool = False

    @property
    def name(self) -> str:
        """The name in the results."""
        words = ["stream" if self.stream else "unary", "strange" if self.strange else "cold" if self.cold else "hot"]
        return f"{' '.join(words)}, {self.candidates:,} candidates, {self.apps:,} application{'s' * (self.apps > 1)}"

    def document(self) -> str:
        """Return the text of the document."""
        apps = "".join(f"  app-{number:05d}: {{active: dc1, backups: [dc2, dc3]}}\n" for number in range(self.apps))
        return f"default: {{active: dc1, backups: [dc2]}}\napps:\n{apps}"

    def requests(self) -> list[bytes]:
        """Return the requests to send in turn."""
        workers = [
            pb.Worker(address=f"10.{n % 3 + 1}.{n // 250 % 250}.{n % 250}:27777", datacenter=f"dc{n % 3 + 1}")
            for n in range(self.candidates)
        ]
        if self.strange:
            workers[-1].tag = PLACEHOLDER
        return [
            pb.FilterWorkersRequest(
                app=f"app-{number * (self.apps // 16 or 1) % self.apps:05d}",
                job=str(1000 + number),
                instance=PLACEHOLDER if self.cold and not self.strange else str(number),
                candidates=workers,
            ).SerializeToString()
            for number in range(16)
        ]

    def response(self) -> bytes:
        """Return the sidecar's response to the first request, for the no-op server."""
        state = State(parse_document(self.document().encode(), max_bytes=10**8), generation=1, now_ns=0)
        asked = pb.FilterWorkersRequest.FromString(self.requests()[0])
        decision = decide(state, asked.app, asked.job, asked.instance, asked.candidates)
        return pb.FilterWorkersResponse(
            addresses=[asked.candidates[index].address for index in decision.indices],
            indices=decision.indices,
            datacenter=decision.datacenter,
            reason=decision.reason.value,  # type: ignore[arg-type]  # the stubs know enum members, the runtime numbers
            revision=state.document.revision,
            generation=1,
        ).SerializeToString()


def write_frames(path: Path, frames: Iterable[bytes]) -> Path:
    """Write frames to a file, each with a length prefix of 4 bytes."""
    path.write_bytes(b"".join(struct.pack(">I", len(frame)) + frame for frame in frames))
    return path
