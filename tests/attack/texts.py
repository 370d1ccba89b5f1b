"""Documents of attacks, which contain the routes of the independent caller, and the answers expected by it."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests import reference

# The load generators replace this by the number of the call.
PLACEHOLDER = "#" * 16
DEFAULT = "{active: dc1, backups: [dc2, dc3]}"
_CALLER = """\
  caller-active: {active: dc1, backups: [dc2, dc3]}
  caller-split: {split: {dc1: 50, dc2: 50}, backups: [dc3]}
  caller-backup: {active: dc1, backups: [dc2, dc3]}
"""
_REASONS = {number: name.removeprefix("REASON_") for name, number in pb.Reason.items()}
_SIZE = 1024 * 1024
# What the chart gives a sidecar: enough for 10,000 applications.
LARGE = 128 * 1024 * 1024


def document(apps: str = "", *, default: str = DEFAULT, rest: str = "") -> str:
    """Return a document with further applications (lines indented by two) and further top-level lines."""
    return f"{rest}default: {default}\napps:\n{_CALLER}{apps}"


def many_apps(count: int, route: str = "{active: dc1, backups: [dc2, dc3]}") -> str:
    """Return the lines of so many applications, `app-00000` and on."""
    return "".join(f"  app-{number:05d}: {route}\n" for number in range(count))


def filled(head: str, lines: Iterable[str], tail: str = "", *, size: int = _SIZE) -> str:
    """Return head, as many lines as fit into `size` bytes, and tail."""
    left = size - len(head.encode()) - len(tail.encode())
    taken = []
    for line in lines:
        left -= len(line.encode())
        if left < 0:
            break
        taken.append(line)
    return head + "".join(taken) + tail


def largest() -> str:
    """Return a valid document with as many applications as fit into 1 MiB."""
    return filled(document(), (f"  {number:x}: d\n" for number in range(200_000)))


def revision(text: str) -> str:
    """Return the revision of a document."""
    return sha256(text.encode()).hexdigest()[:12]


def workers(datacenters: Sequence[str], each: int = 2) -> list[pb.Worker]:
    """Return `each` workers of each datacenter."""
    return [
        pb.Worker(address=f"{name}-{number}:27777", datacenter=name) for name in datacenters for number in range(each)
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the independent caller and the expected reason, datacenter and indices."""

    request: pb.FilterWorkersRequest
    expected: tuple[str, str, list[int]]

    def wrong(self, answer: pb.FilterWorkersResponse, revisions: set[str]) -> str:
        """Return what is wrong with an answer, "" if it is right."""
        given = _REASONS[answer.reason], answer.datacenter, list(answer.indices)
        if given != self.expected:
            return f"{self.request.app}: answered {given}, the rules say {self.expected}"
        if answer.revision not in revisions:
            return f"{self.request.app}: answered from revision {answer.revision}, which was never put"
        return ""


def questions() -> list[Asked]:
    """Return the requests of the independent caller; the reference implementation provides the answers."""
    asks: list[tuple[str, str, tuple[str, ...]]] = [
        ("caller-active", str(job), ("dc1", "dc2", "dc3")) for job in range(4)
    ]
    asks += [("caller-split", str(job), ("dc1", "dc2", "dc3")) for job in range(6)]
    asks += [("caller-backup", "1", ("dc2", "dc3")), ("caller-unnamed", "1", ("dc1", "dc2"))]
    rules = reference.parse(document())
    found = []
    for number, (app, job, datacenters) in enumerate(asks):
        # Every second request differs with each call, so it cannot be answered from a memo.
        instance = PLACEHOLDER if number % 2 else "1"
        request = pb.FilterWorkersRequest(app=app, job=job, instance=instance, candidates=workers(datacenters))
        plain = {
            "app": app,
            "job": job,
            "instance": instance,
            "candidates": [{"address": one.address, "datacenter": one.datacenter} for one in request.candidates],
        }
        reason, datacenter, indices = reference.decide(rules, plain, Fraction(int(time.time())))
        found.append(Asked(request, (reason, datacenter, list(indices))))
    return found


def write_requests(path: Path, requests: Iterable[pb.FilterWorkersRequest]) -> Path:
    """Write requests, each preceded by its length in 4 bytes, as the load generators read them."""
    frames = (request.SerializeToString() for request in requests)
    path.write_bytes(b"".join(struct.pack(">I", len(frame)) + frame for frame in frames))
    return path
