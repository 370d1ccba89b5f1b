"""Does what a Dockerfile says, step by step, into folders: no engine runs where the tests do."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.container import BASE_PATH, CONFIGURATION, Container, Mount, Running

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
# How the machine's own package clients find their registry is none of the Dockerfile's business.
_REGISTRY = re.compile(
    r"(PIP|UV)_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|https?_proxy|no_proxy", re.IGNORECASE
)
# Folders that the steps of ours write in; each stage has its own.
_WRITABLE = ("src", "build", "opt", "tmp", "root")


@dataclass(slots=True, kw_only=True)
class Image:
    """A stage: its folder, and what a container of it starts with."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    labels: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def mounts(self, *, read_only: bool = True) -> list[Mount]:
        """Return the folders that the steps filled, as a container has them."""
        return [
            Mount(path, f"/{path.name}", read_only) for path in sorted(self.folder.iterdir()) if any(path.iterdir())
        ]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction of a Dockerfile with what it says, lines joined, comments dropped."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def build(dockerfile: Path, context: Path, folder: Path, arguments: Mapping[str, str] | None = None) -> Image:
    """Return the last stage of a Dockerfile, built in `folder` with these build arguments."""
    given = arguments or {}
    stages: list[tuple[str, Image]] = []
    values: dict[str, str] = {}
    outer: dict[str, str] = {}
    log = folder / "build.log"
    for word, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        if word == "FROM":
            base, *named = _expand(rest, outer).split()
            assert "python" in base, (
                f"found the base {base!r}, expected one of Python: the machine's own stands in for it"
            )
            values = {}
            stages.append((named[1] if named else "", Image(folder=folder / f"stage{len(stages)}")))
            for name in _WRITABLE:
                (stages[-1][1].folder / name).mkdir(parents=True)
            continue
        if word == "ARG":
            name, _, default = rest.partition("=")
            (values if stages else outer)[name] = given.get(name, default)
            continue
        image = stages[-1][1]
        known = {**image.env, **values}
        if word == "RUN":
            _run(image, rest, known, log)
        elif word == "COPY":
            _copy(image, _expand(rest, known).split(), context, dockerfile, dict(stages))
        elif word == "WORKDIR":
            image.workdir = rest
        elif word == "ENV":
            image.env.update(_pairs(_expand(rest, known)))
        elif word == "LABEL":
            image.labels.update(_pairs(_expand(rest, known)))
        elif word == "USER":
            image.user = rest
        elif word in {"ENTRYPOINT", "CMD"}:
            setattr(image, {"ENTRYPOINT": "entrypoint", "CMD": "command"}[word], json.loads(rest))
        elif word == "HEALTHCHECK":
            image.healthcheck = json.loads(rest.partition(" CMD ")[2])
        else:
            assert word in {"EXPOSE", "STOPSIGNAL"}, f"found {word}, which this test cannot do yet"
    return stages[-1][1]


def _run(image: Image, script: str, known: Mapping[str, str], log: Path) -> None:
    registry = {name: value for name, value in os.environ.items() if _REGISTRY.fullmatch(name)}
    files = [Path(value) for value in registry.values() if value.startswith("/") and Path(value).exists()]
    files.append(Path("/etc/pip.conf"))
    unseen = [
        path for path in dict.fromkeys(files) if path.exists() and not str(path).startswith(("/usr", *CONFIGURATION))
    ]
    container = Container(
        command=["/bin/sh", "-c", f"cd {shlex.quote(image.workdir)} && {script}"],
        env={**registry, "HOME": "/root", **known},
        mounts=[
            *(Mount(path, f"/{path.name}") for path in image.folder.iterdir()),
            *(Mount(path, str(path), read_only=True) for path in unseen),
        ],
    )
    running = Running(container, log)
    try:
        assert running.wait(280) == 0, f"RUN {script}\n{log.read_text(errors='replace')[-4000:]}"
    finally:
        running.remove()


def _copy(image: Image, words: list[str], context: Path, dockerfile: Path, stages: Mapping[str, Image]) -> None:
    origin = context
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")].folder
    *sources, target = words
    within = image.folder / (image.workdir if not target.startswith("/") else "").lstrip("/") / target.lstrip("/")
    ignored = dockerfile.with_name(dockerfile.name + ".dockerignore").read_text(encoding="utf-8").split()
    for source in sources:
        path = origin / source.lstrip("/")
        if origin is context:
            kept = [line[1:] for line in ignored if line.startswith("!")]
            assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), f"{source} is in the .dockerignore"
        if path.is_dir():
            # Bytecode of this machine is in no context, and that of a stage belongs to it.
            left_out = shutil.ignore_patterns("__pycache__") if origin is context else None
            shutil.copytree(path, within, symlinks=True, ignore=left_out, dirs_exist_ok=True)
        else:
            place = within / path.name if target.endswith("/") or len(sources) > 1 else within
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def _expand(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values.get(match[1] or match[2], ""), text)


def _pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))
