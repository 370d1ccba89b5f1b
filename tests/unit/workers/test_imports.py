"""A worker process is what answering needs, and who has none pays for none."""

from __future__ import annotations

import subprocess
import sys


def _imported(module: str, looked_for: set[str]) -> str:
    code = f"import {module}, sys; print(sorted({looked_for!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_worker_process_has_no_source_and_no_page() -> None:
    """What watches, probes, records and shows is in the sidecar's own process alone."""
    beside = {"watchdog", "kazoo", "nacos", "v2", "starlette", "uvicorn", "prometheus_client", "sqlalchemy", "click"}
    ours = {f"sidecar.{name}" for name in ("config", "sources.file", "web", "audit", "health", "reactions", "assembly")}
    assert _imported("sidecar.workers.worker", beside | ours) == "[]"


def test_one_process_has_nothing_of_worker_processes() -> None:
    """`serve` loads them where there are to be several; then it does without gRPC itself."""
    assert _imported("sidecar.daemon", {"sidecar.workers", "sidecar.server.server", "msgspec", "grpc"}) == "[]"
    assert _imported("sidecar.workers.supervisor", {"sidecar.server.server", "grpc"}) == "[]"
