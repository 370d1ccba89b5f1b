"""`dc-sidecar rollback`: write a document again that was in force before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from sidecar.audit.journal_reader import FOLDER, documents
from sidecar.cli.change import ChangeCommand, ChangeOptions, change_options, read_current, run_change
from sidecar.cli.params import open_key
from sidecar.cli.render import columns, print_json, print_lines, say
from sidecar.editing.draft import Edit
from sidecar.editing.versions import Version, VersionHistory, chosen
from sidecar.errors import ChangeRefused, SourceError
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import SECOND_NS, format_time
from sidecar.sources.base import History, Source

# How many documents are looked through.
_LIMIT = 100

_EPILOG = """\b
Examples:
  dc-sidecar rollback --list --config sidecar.yaml
  dc-sidecar rollback --config sidecar.yaml --reason "errors in dc2"
  dc-sidecar rollback 3a7f09c21b44 --config sidecar.yaml --yes"""


@click.command("rollback", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("revision", metavar="[REVISION]", required=False)
@click.option(
    "--state-dir", "flag_state_dir", metavar="PATH", help="State directory of a sidecar that follows the key."
)
@click.option("--list", "listing", is_flag=True, help="List the documents to go back to, and change nothing.")
@click.pass_context
def command(ctx: click.Context, /, revision: str | None, *, listing: bool, **_: Any) -> int:  # noqa: ANN401 - flags
    """Write the document of REVISION again, by default the previous one.

    It comes from the config center's own history, which Nacos has, or from the
    record that a sidecar keeps in its --state-dir. The text is restored as it
    was, but for `meta`, which describes the rollback.
    """
    options = change_options(ctx)
    history = _history_of(options.source, open_key(ctx).option("state-dir"))
    versions = history.versions(_LIMIT, options.timeout)
    if listing:
        _list(versions, options)
        return 0
    version = chosen(versions, read_current(options).revision, revision)
    # Where the configuration requires a reason, it must be the operator's own.
    reason = options.reason or ("" if options.rules.require_reason else f"rollback to {version.revision}")
    restored = parse_text(version.text, max_bytes=options.max_bytes)
    return run_change(replace(options, reason=reason), Edit(make=lambda *_: restored))


def _history_of(source: Source, state_dir: Path | None) -> VersionHistory:
    """Return what remembers the documents of a source. Raises ChangeRefused where nothing does."""
    if source.history is not None:
        return _CenterHistory(source.history)
    if state_dir is not None:
        return _SidecarHistory(state_dir / FOLDER, source.url)
    raise ChangeRefused(
        f"{source.url} keeps no history: name the state directory of a sidecar that follows it with --state-dir, or "
        "write a text of your own with `dc-sidecar put FILE`"
    )


@dataclass(frozen=True, slots=True)
class _CenterHistory:
    """The config center's own history."""

    history: History

    def versions(self, limit: int, timeout: float) -> Sequence[Version]:
        return [
            Version(entry.text, entry.at_ns // SECOND_NS * SECOND_NS, entry.author.user)
            for entry in self.history.entries(limit, timeout)
            if entry.text is not None
        ]


@dataclass(frozen=True, slots=True)
class _SidecarHistory:
    """The record of changes that a sidecar keeps."""

    folder: Path
    source: str

    def versions(self, limit: int, timeout: float) -> Sequence[Version]:  # noqa: ARG002 - a file needs none
        try:
            found = [*islice(documents(self.folder, self.source), limit)]
        except OSError as error:
            raise SourceError(
                f"the record in {self.folder} cannot be read ({error.strerror}): check --state-dir and its permissions"
            ) from error
        return [Version(one.text.encode(), one.at_ns, _text(one.meta, "by")) for one in found]


def _list(versions: Sequence[Version], options: ChangeOptions) -> None:
    entries = [(version, parse_text(version.text, max_bytes=options.max_bytes).document) for version in versions]
    if options.output == "json":
        print_json(
            [
                {
                    "revision": version.revision,
                    "at": format_time(version.at_ns),
                    "by": version.by,
                    "valid": document is not None,
                    "meta": dict(document.meta) if document else {},
                }
                for version, document in entries
            ]
        )
        return
    if not entries:
        say("There are no earlier documents.")
        return
    rows = [("REVISION", "AT", "BY", "REASON")]
    for version, document in entries:
        meta = document.meta if document else {"reason": "(not a valid document)"}
        by = _text(meta, "by") or version.by or "-"
        rows.append((version.revision, format_time(version.at_ns), by, _text(meta, "reason")))
    print_lines(columns(rows))


def _text(meta: Any, key: str) -> str:  # noqa: ANN401 - `meta` is free
    value = meta.get(key, "")
    return value if isinstance(value, str) else ""
