"""Packages the Helm charts, the alerts and the dashboard of a release: the same sources give the same bytes."""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

CHARTS = ("dc-sidecar", "powerjob-server")
PLACEHOLDER = "https://dc-sidecar.example/operations/"
"""Stands in the alerts for the address of the runbook."""

_IMAGE = re.compile(r"^(image:\n  repository: )dc-sidecar$", re.MULTILINE)
_RUNBOOK = re.compile(r'^(  runbookUrl: )""', re.MULTILINE)
_VERSION = re.compile(r"^(version: ).+$", re.MULTILINE)
_APP_VERSION = re.compile(r"^(appVersion: ).+$", re.MULTILINE)
_DEPENDENCY = re.compile(r"(\{name: dc-sidecar, version: )[^,]+")


def chart_version(version: str) -> str:
    """Return a Python version as a semantic version: `1.2.0-rc1`, a development release `1.2.0-dev.N.gHASH`."""
    number = version.replace(".dev", "-dev.").replace("+", ".")
    return re.sub(r"^(\d+\.\d+\.\d+)(a|b|rc)(\d+)", r"\1-\2\3", number)


def build_charts(tree: Path, target: Path, version: str, *, image: str = "", runbook: str = "") -> list[Path]:
    """Write the packages of the charts in `tree`, alerts and dashboard into `target`; return the files.

    `image` is the default repository of the sidecar's image, `runbook` the URL of docs/operations.md; each stays as it
    is in the sources if empty.
    """
    number = chart_version(version)
    charts = tree / "deploy/helm"
    sidecar = {
        f"dc-sidecar/{name}": _stamped(name, text, number, version, image=image, runbook=runbook)
        for name, text in _files(charts / "dc-sidecar")
    }
    server = {
        f"powerjob-server/{name}": _of_server(name, text, number) for name, text in _files(charts / "powerjob-server")
    }
    server |= {f"powerjob-server/charts/{name}": text for name, text in sidecar.items()}
    made = []
    for name, files in zip(CHARTS, (sidecar, server), strict=True):
        package = target / f"{name}-{number}.tgz"
        package.write_bytes(_package(files))
        made.append(package)
    alerts = target / "dc-sidecar-alerts.yaml"
    text = (tree / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8")
    alerts.write_text(text.replace(PLACEHOLDER, runbook) if runbook else text, encoding="utf-8")
    dashboard = target / "dc-sidecar-dashboard.json"
    shutil.copyfile(tree / "deploy/grafana/dc-sidecar.json", dashboard)
    return [*made, alerts, dashboard]


def _files(chart: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file of a chart, links followed, in a fixed order."""
    for path in sorted(chart.rglob("*")):
        if path.is_file() and path.suffix != ".md" and "charts" not in path.relative_to(chart).parts:
            yield str(path.relative_to(chart)), path.read_text(encoding="utf-8")


def _stamped(name: str, text: str, number: str, version: str, *, image: str, runbook: str) -> str:
    if name == "Chart.yaml":
        text = _VERSION.sub(rf"\g<1>{number}", text)
        return _APP_VERSION.sub(rf'\g<1>"{version.replace("+", "-")}"', text)
    if name == "values.yaml":
        text = _IMAGE.sub(rf"\g<1>{image}", text) if image else text
        return _RUNBOOK.sub(rf"\g<1>{runbook}", text) if runbook else text
    return text


def _of_server(name: str, text: str, number: str) -> str:
    """Return a file of the server's chart; its appVersion is that of PowerJob."""
    if name != "Chart.yaml":
        return text
    return _DEPENDENCY.sub(rf"\g<1>{number}", _VERSION.sub(rf"\g<1>{number}", text))


def _package(files: dict[str, str]) -> bytes:
    """Return a gzipped tar without times and owners."""
    packed = BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            tar.addfile(entry, BytesIO(content))
    return packed.getvalue()
