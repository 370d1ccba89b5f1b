"""What the daemon may import: each package more is memory and time to start on every host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

# Third parties by their first name, ours by two.
ALWAYS = {
    *("google", "grpc", "grpc_health", "grpc_reflection", "typing_extensions", "watchdog", "yaml"),
    *(
        f"sidecar.{name}"
        for name in (
            "assembly",
            "audit",
            "background",
            "components",
            "config",
            "daemon",
            "atomic_file",
            "errors",
            "health",
        )
    ),
    *(
        f"sidecar.{name}"
        for name in ("footprint", "ip", "lifecycle", "log", "memory", "change_log", "gil", "pb", "routing", "server")
    ),
    *(f"sidecar.{name}" for name in ("snapshot", "sources", "table", "counters", "backoff", "yaml_reader")),
    *(
        f"sidecar.{name}"
        for name in ("secret_file", "state_file", "terminal", "transition", "trust", "view", "wording")
    ),
}
WITH_HTTP = {"anyio", "click", "h11", "msgspec", "prometheus_client", "sidecar.web", "starlette", "uvicorn"}
WITH_XDS = {"sidecar.followers", "sidecar.following", "sidecar.xds"}

# Serves until it has answered a decision itself, then reports what it has imported.
PROGRAM = """
import os, signal, sys, threading
import grpc

def ask():
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/dcsidecar.v1.RoutingService/FilterWorkers")
        while True:
            try:
                call(bytes([10, 1, 97]), wait_for_ready=True, timeout=60)
                break
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
    os.kill(os.getpid(), signal.SIGTERM)

address, *sys.argv[1:] = sys.argv[1:]
threading.Thread(target=ask, daemon=True).start()
from sidecar.__main__ import main
assert main() == 0
print(*sys.modules)
"""


def imported(tmp_path: Path, *flags: str) -> set[str]:
    """Return what a started `serve` has imported: third parties by their first name, ours by two."""
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    (tmp_path / "endpoints.yaml").write_text("apps: {}")
    address = f"unix:{tmp_path}/socket"
    words = ["serve", "--source", f"file:{document}", "--listen", address, "--grace", "1s", *flags]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, address, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("DC_SIDECAR_", "OTEL_"))},
    )
    assert done.returncode == 0, done.stderr
    return set(packages(done.stdout.splitlines()[-1].split()))


def packages(modules: Iterable[str]) -> Iterable[str]:
    """Yield the packages of modules, without the standard library and what has no package."""
    for module in modules:
        first, *rest = module.split(".")
        if first == "sidecar":
            if rest and not rest[0].startswith("_"):
                yield f"sidecar.{rest[0]}"
        elif first not in sys.stdlib_module_names and not first.startswith("_") and first != "cython_runtime":
            yield first


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [
        ([], ALWAYS),
        (["--http", "127.0.0.1:0", "--state-dir", "{}/state"], ALWAYS | WITH_HTTP),
        (["--haproxy-agent", "127.0.0.1:0"], ALWAYS | {"sidecar.followers", "sidecar.following"}),
        (["--xds"], ALWAYS | WITH_XDS),
        (["--xds", "--xds-endpoints", "{}/endpoints.yaml"], ALWAYS | WITH_XDS | {"sidecar.file_reloader"}),
    ],
    ids=["file source", "all that is on by default", "HAProxy", "xDS", "xDS for gRPC clients"],
)
def test_serve_imports_only_what_is_listed_here(tmp_path: Path, flags: list[str], allowed: set[str]) -> None:
    """Once it answers, it has imported the listed packages and no other: nothing of the command line, say."""
    found = imported(tmp_path, *(flag.format(tmp_path) for flag in flags))
    assert not found - allowed, (
        "`serve` imports more than it did: if all who run it shall pay for that, list it here, else import it where it "
        "is used"
    )
    assert not allowed - found, "`serve` does not import this any more: take it off the list"
