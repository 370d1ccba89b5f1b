"""Answers a shell that completes a name of the live document; a shell that asks never sees an error."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.cli.completion import names
from sidecar.cli.completion.line import COMPLETE_VARIABLE, Line, read_line
from sidecar.yaml_reader import Tree

READ_TIMEOUT_S = 1.0
"""Seconds that a shell waits for a config center."""


def completed(environ: Mapping[str, str]) -> str | None:
    """Return the answer for the shell; None for a line that click must answer."""
    line = read_line(environ)
    if line is None:
        return None
    form = "plain\n{}\n_" if environ[COMPLETE_VARIABLE] == "zsh_complete" else "plain,{}"
    try:
        found = names.of_kind(line.kind, _document(line), line.arguments)
    except Exception:  # noqa: BLE001 - the shell would show any error in the middle of a line
        found = ()
    return "\n".join(form.format(name) for name in found if name.startswith(line.incomplete))


def _document(line: Line) -> Tree:
    from sidecar import config  # noqa: PLC0415 - a line for click needs none of these
    from sidecar.cli.options.layers import resolve_options  # noqa: PLC0415
    from sidecar.sources import open_source  # noqa: PLC0415
    from sidecar.sources.base import Content  # noqa: PLC0415

    flags: dict[str, list[str]] = {}
    for option in config.OPTIONS:
        if option.flag in line.options:
            flags[option.name] = line.options[option.flag] or ["true"]
        elif f"--no-{option.name}" in line.options:
            flags[option.name] = ["false"]
    context = line.options.get("--context", [None])[-1]
    if context and "source" in flags:
        return ""
    settings = config.settings_of(resolve_options(flags, context)[0])
    if settings.source is None:
        return ""
    content = open_source(settings.source, settings.source_options).read(READ_TIMEOUT_S)
    return names.tree_of(content.text, settings.max_document_size) if isinstance(content, Content) else ""
