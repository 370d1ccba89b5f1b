"""Hooks of MkDocs: adds the generated reference, and resolves links to files outside of docs/."""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from deploy.site.reference import grpc_reference, http_reference  # noqa: E402 - found by the line above

_LINK = re.compile(r"(?<!!)\[([^]]*)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs' own
    """Add the pages that are generated from the contracts."""
    description = json.loads((ROOT / "sidecar/web/openapi.json").read_text(encoding="utf-8"))
    proto = (ROOT / "protos/dcsidecar/v1/routing.proto").read_text(encoding="utf-8")
    pages = {"reference/http.md": http_reference(description), "reference/grpc.md": grpc_reference(proto)}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:  # noqa: ANN401 - MkDocs' own
    """Have links to files of the repository lead there, or without `repo_url` name the file."""

    def resolved(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), target))
        if place.startswith("docs/"):
            return match[0]
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/HEAD/{place}{anchor or ''})"
        return f"{text} (`{place}`)" if place not in text else f"`{place}`"

    return _LINK.sub(resolved, markdown)
