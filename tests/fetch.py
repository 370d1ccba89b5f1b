"""Fetches and builds the servers and tools that the tests run, before their time limits begin: `python -m tests.fetch`.

All of it lands in a cache (~/.cache/dc-sidecar-tests); a second run finds it there and does nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy.tools import (
    ACTIONLINT,
    CRD_JUDGE,
    GATEWAY_API,
    GRPC_PEER,
    HELM,
    ISTIO_API,
    KUSTOMIZE,
    PODSECURITY,
    module,
    tool,
)
from tests.powerjob.build import build
from tests.servers.apollo.server import classes as apollo_classes
from tests.servers.maven import runtime_jars
from tests.servers.nacos.server import NacosServer
from tests.servers.nacos3.server import Nacos3Server

_ROOT = Path(__file__).parents[1]
_SERVERS = Path(__file__).parent / "servers"


def _docs_generator() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "docs-env"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stderr.strip(), pytrace=False)


# Each list is worked off in order, the lists side by side: Maven waits for the network, Go for the processor.
_WORK: tuple[tuple[tuple[str, Callable[[], object]], ...], ...] = (
    (
        ("ZooKeeper", lambda: runtime_jars(_SERVERS / "zookeeper" / "pom.xml")),
        ("Nacos 2.3", NacosServer.archive),
        ("Nacos 3", Nacos3Server.archive),
        ("Apollo", apollo_classes),
        ("PowerJob and its adapter", build),
        ("Quartz and ShedLock", lambda: runtime_jars(_SERVERS / "gate" / "pom.xml")),
    ),
    (
        ("the CRDs of Gateway API", lambda: module(GATEWAY_API)),
        ("the CRDs of Istio", lambda: module(ISTIO_API)),
        ("actionlint", lambda: tool(ACTIONLINT)),
        ("the documentation's generator", _docs_generator),
        ("helm", lambda: tool(HELM)),
        ("kustomize", lambda: tool(KUSTOMIZE)),
        ("the Pod Security judge", lambda: tool(PODSECURITY)),
        ("the judge of CRDs", lambda: tool(CRD_JUDGE)),
        ("the gRPC client and servers of xDS", lambda: tool(GRPC_PEER)),
    ),
)


def main() -> int:
    """Fetch everything; return 1 where something is missing that CI must have."""
    with ThreadPoolExecutor() as pool:
        missing = [what for lacking in pool.map(_work_off, _WORK) for what in lacking]
    if missing:
        print(f"tests that need {', '.join(missing)} will not run", file=sys.stderr)
    return int(bool(missing) and os.environ.get("CI") == "true")


def _work_off(work: tuple[tuple[str, Callable[[], object]], ...]) -> list[str]:
    missing = []
    for what, fetch in work:
        began = time.monotonic()
        try:
            fetch()
        except (pytest.skip.Exception, pytest.fail.Exception) as reason:
            print(f"{what}: {reason}", file=sys.stderr)
            missing.append(what)
        else:
            if (took := time.monotonic() - began) > 1:
                print(f"fetched {what} in {took:.0f} s", flush=True)
    return missing


if __name__ == "__main__":
    sys.exit(main())
