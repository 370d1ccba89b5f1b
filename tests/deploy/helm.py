"""The chart, rendered by the real helm: alone, and as part of a scheduler's chart."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import HELM, tool

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/dc-sidecar"
POWERJOB = ROOT / "deploy/helm/powerjob-server"
SCHEDULER = Path(__file__).with_name("scheduler")


class Refused(Exception):
    """Helm does not render these values; the message is what it says."""


def helm(*words: str) -> str:
    """Run helm; return what it prints. Raises Refused."""
    done = subprocess.run([str(tool(HELM)), *words], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Refused(done.stderr or done.stdout)
    return done.stdout


def render(
    values: Mapping[str, Any], *, folder: Path, chart: Path = CHART, version: str = "1.30.0", release: str = "routing"
) -> list[Manifest]:
    """Return the objects that the chart makes of these values on a Kubernetes of this version. Raises Refused."""
    file = folder / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    flags = ("--kube-version", version, "--namespace", "jobs", "--values", str(file))
    return [one for one in yaml.safe_load_all(helm("template", release, str(chart), *flags)) if one]


def scheduler_chart(folder: Path, source: Path = SCHEDULER) -> Path:
    """Return a scheduler's chart that has ours as a dependency, as `helm dependency build` leaves it."""
    chart = folder / source.name
    if not chart.exists():
        shutil.copytree(source, chart)
        shutil.copytree(CHART, chart / "charts/dc-sidecar")
    return chart


def one(objects: list[Manifest], kind: str) -> Manifest:
    """Return the only object of a kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found
