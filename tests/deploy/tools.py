"""Tools that come as Go modules: built once, kept in a cache that survives the test run."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
HELM = "helm.sh/helm/v3/cmd/helm@v3.18.6"
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.6.0"
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.3"
ISTIO_API = "istio.io/api@v1.32.0"
PODSECURITY = Path(__file__).with_name("podsecurity")
CRD_JUDGE = Path(__file__).with_name("crdjudge")
GRPC_PEER = Path(__file__).parents[1] / "integration" / "xds" / "grpcpeer"


def tool(what: str | Path) -> Path:
    """Return the program of a Go package (`path@version`) or of a folder with a module; built where the cache has none.

    Without `go` the test is skipped, loudly; under CI=true that is an error. The first build takes minutes.
    """
    if isinstance(what, Path):
        name = what.name
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(what.iterdir()))).hexdigest()[:12]
        command, folder = ["build", "-trimpath", "-o"], f"{name}-{digest}"
    else:
        package, _, version = what.partition("@")
        name = next(part for part in reversed(package.split("/")) if not part.startswith("v"))
        command, folder = ["install", "-trimpath", "-ldflags=-s -w", what], f"{name}-{version}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc-sidecar-tests"
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / folder / name
    with (cache / f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            go = _go(f"build {what}")
            building = program.with_name("building")
            building.mkdir(parents=True, exist_ok=True)
            where = what if isinstance(what, Path) else cache
            words = [go, *command, *([str(building / name), "."] if isinstance(what, Path) else [])]
            env = {**os.environ, "GOBIN": str(building), "GOFLAGS": "-buildvcs=false"}
            done = subprocess.run(words, cwd=where, env=env, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode:
                pytest.fail(f"go {' '.join(command)} failed:\n{done.stderr[-4000:]}", pytrace=False)
            (building / name).rename(program)
            building.rmdir()
    return program


def module(what: str) -> Path:
    """Return the folder of a Go module (`path@version`), in Go's own cache."""
    words = [_go(f"fetch {what}"), "mod", "download", "-json", what]
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.fail(f"go mod download {what} failed:\n{(done.stdout + done.stderr)[-4000:]}", pytrace=False)
    return Path(json.loads(done.stdout)["Dir"])


def _go(purpose: str) -> str:
    go = shutil.which("go")
    if go is None:
        message = f"'go' is not on the PATH; the tests need it to {purpose}"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(f"NOT TESTED: {message}")
    return go
