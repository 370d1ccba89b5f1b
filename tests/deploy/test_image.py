"""The Dockerfile: its style, and what a container of its image is like."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.deploy.conftest import ROOT
from tests.deploy.container import ROOT as MACHINE_ROOT
from tests.deploy.container import Container, Mount, Running
from tests.deploy.image import Image

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"


def ended(image: Image, words: Sequence[str], folder: Path, mounts: Sequence[Mount] = ()) -> tuple[int, str]:
    """Run a command in a container of the image, as its user; return exit status and what it printed."""
    uid, gid = map(int, image.user.split(":"))
    log = folder / "container.log"
    log.unlink(missing_ok=True)
    running = Running(Container(command=words, env=image.env, mounts=[*image.mounts(), *mounts], uid=uid, gid=gid), log)
    try:
        return running.wait(60), log.read_text(errors="replace")
    finally:
        running.remove()


def test_hadolint_has_nothing_to_say() -> None:
    """Neither errors nor warnings nor advice."""
    words = [str(Path(sys.executable).with_name("hadolint")), "--no-color", str(DOCKERFILE)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_the_sidecar_with_all_sources(image: Image, tmp_path: Path) -> None:
    """Its command is the sidecar of the version that was asked for; what each source and traces need is there."""
    assert ended(image, [*image.entrypoint, "--version"], tmp_path) == (0, "dc-sidecar 9.8.7\n")
    python = "/opt/dc-sidecar/bin/python"
    extras = "import kazoo, v2.nacos, opentelemetry.exporter.otlp.proto.http"
    assert ended(image, [python, "-c", extras], tmp_path)[0] == 0
    assert (image.entrypoint, image.command) == (["dc-sidecar"], ["serve"])


def test_the_image_tells_what_it_is(image: Image) -> None:
    """Its labels are those of the Open Containers Initiative, filled by the build arguments."""
    named = {name.removeprefix("org.opencontainers.image."): value for name, value in image.labels.items()}
    assert named["version"] == "9.8.7"
    assert named["revision"] == "0123abc"
    assert named["licenses"] == "Apache-2.0"


def test_nobody_in_it_may_change_anything(image: Image, tmp_path: Path) -> None:
    """Its user is a number other than 0, owns nothing, has no capability, and cannot write, not even bytecode."""
    assert image.user.split(":")[0].isdecimal()
    assert int(image.user.split(":")[0]) > 0
    writable = "find / -xdev -writable -not -type l 2>/dev/null | head -3; find /opt -uid 65532 | head -3"
    asked = f"id -u; grep ^CapBnd /proc/self/status; {writable}"
    status, said = ended(image, ["/bin/sh", "-c", asked], tmp_path)
    assert status == 0
    # Without root here, the namespace shows the one user that there is as its root.
    assert said.split() == ["65532" if MACHINE_ROOT else "0", "CapBnd:", "0" * 16]


def test_there_is_no_compiler_and_no_installer_in_what_it_adds(image: Image) -> None:
    """Neither pip nor uv nor hatchling nor headers of the build stage came along."""
    names = {path.name for path in (image.folder / "opt/dc-sidecar/bin").iterdir()}
    assert not {name for name in names if name.startswith(("pip", "uv", "hatch", "gcc"))} - {"uvicorn"}
    assert not list((image.folder / "src").iterdir())
    assert not list((image.folder / "build").iterdir())


def test_its_healthcheck_finds_the_sidecar(image: Image, tmp_path: Path) -> None:
    """Where nobody serves the probe of HEALTHCHECK fails, and says where it asked."""
    status, said = ended(image, image.healthcheck, tmp_path)
    assert status == 6
    assert "127.0.0.1:50051" in said
