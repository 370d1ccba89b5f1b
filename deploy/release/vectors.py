"""Checks an installed dc-sidecar against the test vectors, in a clean environment: `vectors.py FOLDER VERSION`."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

import sidecar
from sidecar.errors import DocumentRejected
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State


def main(folder: Path, version: str) -> int:
    """Print every deviation; return 0 if there is none, else 1."""
    wrong = [] if sidecar.__version__ == version else [f"found version {sidecar.__version__}, expected {version}"]
    decided = refused = 0
    for group in yaml.load((folder / "decisions.yaml").read_text(encoding="utf-8"), Loader=yaml.CBaseLoader):  # noqa: S506 - texts only
        document = parse_document(group["document"].encode())
        for case in group["cases"]:
            asked, expected = case["request"], case["expect"]
            workers = [pb.Worker(**worker) for worker in asked["candidates"]]
            state = State(document, generation=1, now_ns=parse_time(case["now"]) or 0)
            aliases = tuple(asked.get("app_aliases", ()))
            made = decide(state, asked["app"], asked["job"], asked["instance"], workers, aliases)
            found = [made.reason.name, made.datacenter, list(made.indices)]
            if found != [expected["reason"], expected["datacenter"], list(map(int, expected["indices"]))]:
                wrong.append(f"{group['title']}: {case['name']}: found {found}, expected {expected}")
            decided += 1
    for case in yaml.load((folder / "invalid.yaml").read_text(encoding="utf-8"), Loader=yaml.CBaseLoader):  # noqa: S506 - texts only
        try:
            parse_document(case["document"].encode())
            wrong.append(f"{case['name']}: accepted, expected a refusal of {case['path']}")
        except DocumentRejected as error:
            if error.problems[0].path != case["path"]:
                wrong.append(f"{case['name']}: refused {error.problems[0].path}, expected {case['path']}")
        refused += 1
    if not (decided and refused):
        wrong.append(f"found {decided} decisions and {refused} refusals in {folder}, expected some of each")
    sys.stdout.write("\n".join([*wrong, f"{decided} decisions, {refused} refusals"]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
