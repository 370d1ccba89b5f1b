"""Compares the cost of a decision with Open Policy Agent, which decides by filter.rego over HTTP.

    python -m bench.opa [--turns 7]

Both must first give the same answers to all test vectors that the Rego covers and to the measured requests. Then both
are called in turns on the same core. A ratio is the median over the turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bench import results
from bench.cases import Case, write_frames
from bench.loader import OPA, policy_agent
from bench.results import SERVER_CORE
from bench.servers import ROOT, Server, free_port
from bench.slices import Slice, call, middle
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.model import Active, Route, RoutingDocument, Split
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State

TITLE = "Compared with Open Policy Agent"
PATH = "/v1/data/dcsidecar/filter"
RULES = Path(__file__).with_name("filter.rego")
SIZES = 3, 100, 1_000, 10_000
# Not covered by filter.rego.
UNCOVERED = "ramp", "where a worker's datacenter comes from"

Json = Mapping[str, Any]


class PolicyAgent(Server):
    """An Open Policy Agent with a document as its data."""

    def __init__(self, document: RoutingDocument, folder: Path, *, core: int) -> None:
        data = folder / "data.json"
        data.write_text(json.dumps({"routing": data_of(document)}))
        port = free_port()
        command = [str(policy_agent()), "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error"]
        super().__init__([*command, "--disable-telemetry", str(RULES), str(data)], port, core=core)

    def ask(self, request: Json) -> Json:
        """Return its decision."""
        body = json.dumps({"input": request}).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{PATH}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            result: Json = json.load(answer)["result"]
            return result

    def _answers(self) -> bool:
        try:
            self.ask(input_of(pb.FilterWorkersRequest(app="any")))
        except OSError:
            return False
        return True


def data_of(document: RoutingDocument) -> Json:
    """Return a document as data for filter.rego, inheritance applied."""
    return {
        "revision": document.revision,
        "default": route_of(document.default),
        "apps": {
            name: {
                "route": route_of(application.route),
                "jobs": {job: route_of(route) for job, route in application.jobs.items()},
            }
            for name, application in document.apps.items()
        },
        "marked": [name for name, datacenter in (document.datacenters or {}).items() if not datacenter.available],
        "drills": [
            {
                "datacenter": drill.datacenter,
                "start_ns": drill.start_ns or 0,
                "until_ns": drill.until_ns,
                "apps": None if drill.apps is None else sorted(drill.apps),
            }
            for drill in document.drills
        ],
    }


def route_of(route: Route) -> Json:
    """Return a route as data for filter.rego. Raises ValueError for a ramp."""
    rest = {
        "backups": route.backups,
        "min_workers": route.min_workers,
        "on_empty": route.on_empty.value,
        "sticky": route.sticky.value,
    }
    match route.selector:
        case Active(datacenter):
            return {"active": datacenter, **rest}
        case Split(weights):
            return {"split": dict(weights), **rest}
        case None:
            return rest
        case _:
            raise ValueError(f"filter.rego does not cover {route.selector}")


def input_of(request: pb.FilterWorkersRequest) -> dict[str, Any]:
    """Return a request as input for filter.rego."""
    return {
        "app": request.app,
        "job": request.job,
        "instance": request.instance,
        "candidates": [{"address": each.address, "datacenter": each.datacenter} for each in request.candidates],
    }


def vectors() -> Iterator[tuple[str, RoutingDocument, list[tuple[pb.FilterWorkersRequest, int]]]]:
    """Return titles, documents and requests of the test vectors, with their times."""
    for group in yaml.load((ROOT / "tests/vectors/decisions.yaml").read_text(), Loader=yaml.CBaseLoader):
        if group["title"] not in UNCOVERED:
            asked = [
                (pb.FilterWorkersRequest(**case["request"]), parse_time(case["now"]) or 0) for case in group["cases"]
            ]
            yield group["title"], parse_document(group["document"].encode()), asked


def check(agent: PolicyAgent, document: RoutingDocument, request: pb.FilterWorkersRequest, now_ns: int) -> None:
    """Raise RuntimeError if the agent decides differently from the sidecar."""
    answer = agent.ask(input_of(request) | {"now_ns": now_ns})
    state = State(document, generation=1, now_ns=now_ns)
    decision = decide(state, request.app, request.job, request.instance, request.candidates)
    ours = {
        "datacenter": decision.datacenter,
        "reason": decision.reason.name,
        "indices": list(decision.indices),
        "addresses": [request.candidates[index].address for index in decision.indices],
        "revision": document.revision,
    }
    if ours != answer:
        raise RuntimeError(f"Open Policy Agent decides differently for {request}: {answer}, expected {ours}")


def check_vectors(folder: Path) -> int:
    """Return the number of vectors on which both agree. Raises RuntimeError if they differ on one."""
    count = 0
    for title, document, asked in vectors():
        with PolicyAgent(document, folder, core=SERVER_CORE) as agent:
            for request, now_ns in asked:
                check(agent, document, request, now_ns)
                count += 1
        print(f"the same: {title}, {len(asked)} decisions", flush=True)
    return count


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cost of a decision for the agent, and for the sidecar with strange, cold and hot requests (bench.cases)."""

    candidates: int
    agent: Slice
    sidecar: list[Slice]
    ratios: list[float]


def compare(candidates: int, folder: Path, *, turns: int, seconds: float) -> Comparison:
    """Measure both with a number of candidates."""
    cold = Case(candidates, cold=True)
    cases = Case(candidates, cold=True, strange=True), cold, Case(candidates, cold=False)
    text = folder / "routing.yaml"
    text.write_text(cold.document())
    document = parse_document(text.read_bytes())
    asked = [pb.FilterWorkersRequest.FromString(request) for request in cold.requests()]
    bodies = [json.dumps({"input": input_of(request)}, separators=(",", ":")).encode() for request in asked]
    over_http = write_frames(folder / "inputs", bodies)
    over_grpc = [write_frames(folder / case.name, case.requests()) for case in cases]
    taken: list[list[Slice]] = []
    with (
        PolicyAgent(document, folder, core=SERVER_CORE) as agent,
        Server.sidecar(text, core=SERVER_CORE) as sidecar,
    ):
        for request in asked:
            check(agent, document, request, time.time_ns())
        for turn in range(turns + 1):
            turn_s = seconds if turn else seconds / 2
            slices = [
                call(agent, over_http, turn_s, "-post", PATH),
                *(call(sidecar, requests, turn_s) for requests in over_grpc),
            ]
            if turn:
                taken.append(slices)
    theirs, *ours = zip(*taken, strict=True)
    ratios = [median(a.cpu_us / b.cpu_us for a, b in zip(theirs, each, strict=True)) for each in ours]
    return Comparison(candidates, middle(theirs), [middle(each) for each in ours], ratios)


def row(measured: Comparison) -> list[str]:
    """Return a row of the table."""
    return [
        f"{measured.candidates:,}",
        *(f"{each.cpu_us:,.0f}" for each in (measured.agent, *measured.sidecar)),
        *(f"{ratio:.1f}" for ratio in measured.ratios),
    ]


def main() -> None:
    """Compare, measure, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a slice")
    arguments = parser.parse_args()
    version = subprocess.run([policy_agent(), "version"], check=True, capture_output=True, text=True).stdout
    print(version.partition("\n")[0], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        same = check_vectors(Path(folder))
        rows = []
        for candidates in SIZES:
            rows.append(row(compare(candidates, Path(folder), turns=arguments.turns, seconds=arguments.seconds)))
            print(" | ".join(rows[-1]), flush=True)
    heads = "candidates", "OPA CPU µs", "strange", "cold", "hot", "OPA / strange", "OPA / cold", "OPA / hot"
    about = (
        f"{OPA.rpartition('/')[2]} as a server, with the document as its data and the rule in bench/opa/filter.rego. "
        f"It gives the same answers as the sidecar to {same} requests of tests/vectors and to the measured ones. CPU "
        "per decision: of Open Policy Agent, which caches no answers, and of the sidecar with strange, cold and hot "
        "requests."
    )
    results.write(TITLE, "python -m bench.opa", f"{about}\n\n{results.table(heads, rows)}")


if __name__ == "__main__":
    main()
