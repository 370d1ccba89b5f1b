"""Documents and requests of a campaign, drawn from a seed, and what the rules say to them."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from typing import Any

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests import reference

DATACENTERS = ("dc1", "dc2", "dc3")
APPS = ("billing", "reports", "7")
_REASONS = {number: name.removeprefix("REASON_") for name, number in pb.Reason.items()}


def good(draw: random.Random, number: int, now: float) -> str:
    """Return a valid document, unlike any other by its number; its drills begin and end about now."""
    lines = [f"meta: {{number: {number}}}", "datacenters:"]
    spared = draw.choice(DATACENTERS)
    available = {name: "true" if name == spared or draw.random() < 0.9 else "false" for name in DATACENTERS}
    lines += [f"  {name}: {{available: {word}}}" for name, word in available.items()]
    lines += [f"default: {_route(draw)}", "apps:", *(f'  "{app}": {_route(draw)}' for app in draw.sample(APPS, 2))]
    if draw.random() < 0.5:
        start, end = sorted(draw.sample(range(-20, 40), 2))
        lines.append(
            f"drills: [{{datacenter: {draw.choice(DATACENTERS)}, start: {_time(now + start)}, "
            f"until: {_time(now + end)}}}]"
        )
    return "\n".join(lines) + "\n"


def bad(draw: random.Random, text: str) -> str:
    """Return a text as it comes of torn writes, slips and wrong clipboards; now and then it is valid after all."""
    match draw.randrange(4):
        case 0:
            return text[: draw.randrange(1, len(text))]
        case 1:
            return text.replace("default:", "defualt:")
        case 2:
            position = draw.randrange(len(text))
            return text[:position] + draw.choice("{}[]:\"'&*\t\0") + text[position:]
        case _:
            return "<html><body>502 Bad Gateway</body></html>"


def _route(draw: random.Random) -> str:
    backups = ", ".join(draw.sample(DATACENTERS, draw.randrange(3)))
    if draw.random() < 0.5:
        selector = f"active: {draw.choice(DATACENTERS)}"
    else:
        shares = (f"{name}: {draw.randrange(1, 100)}" for name in draw.sample(DATACENTERS, 2))
        selector = f"split: {{{', '.join(shares)}}}"
    on_empty = draw.choice(("reject", "any"))
    return f"{{{selector}, backups: [{backups}], min_workers: {draw.randrange(1, 3)}, on_empty: {on_empty}}}"


def _time(moment: float) -> str:
    return f'"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"'


def requests(draw: random.Random, count: int) -> list[pb.FilterWorkersRequest]:
    """Return requests for various applications, jobs and candidates."""
    found = []
    for _ in range(count):
        workers = [
            pb.Worker(address=f"{name}-{number}", datacenter=name)
            for name in DATACENTERS
            for number in range(draw.randrange(4))
        ]
        app = draw.choice((*APPS, "unknown"))
        found.append(pb.FilterWorkersRequest(app=app, job=str(draw.randrange(1000)), candidates=workers))
    return found


class Rules:
    """What the rules, as another implementation has them, say for each text that was ever put."""

    def __init__(self) -> None:
        self._documents: dict[str, Any] = {}
        self.order: dict[str, int] = {}

    def put(self, text: str) -> None:
        """Take note of a text that is about to be put."""
        revision = sha256(text.encode()).hexdigest()[:12]
        self.order[revision] = len(self.order)
        try:
            self._documents[revision] = reference.parse(text)
        except reference.RefusedError:
            self._documents[revision] = None

    def wrong(self, request: pb.FilterWorkersRequest, answer: pb.FilterWorkersResponse, times: list[float]) -> str:
        """Return what is wrong with an answer, "" if it is what the rules say at one of the times."""
        document = self._documents.get(answer.revision)
        if document is None:
            return f"revision {answer.revision} is of no valid document that was ever put"
        asked = {
            "app": request.app,
            "job": request.job,
            "instance": request.instance,
            "candidates": [
                {"address": worker.address, "datacenter": worker.datacenter} for worker in request.candidates
            ],
        }
        given = _REASONS[answer.reason], answer.datacenter, list(answer.indices)
        said = [reference.decide(document, asked, Fraction(moment)) for moment in times]
        return "" if given in said else f"{given}, the rules say {said[-1]} by {answer.revision}"
