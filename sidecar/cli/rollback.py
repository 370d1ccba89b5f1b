"""`dc-sidecar rollback`: a document that was in force before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from sidecar.audit.journal_reader import FOLDER, documents
from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import ChangingCommand, Orders, open_named, orders_of
from sidecar.cli.output import columns, print_json, say
from sidecar.editing.proposal import CurrentDocument, Edit, read_current
from sidecar.editing.versions import Version, VersionHistory, chosen
from sidecar.errors import ChangeRefused, SourceError
from sidecar.routing.scalars import SECOND_NS, format_time
from sidecar.sources.base import Content, History, Source

# How many documents are looked through.
_REMEMBERED = 100

_EPILOG = """\b
Examples:
  dc-sidecar rollback --list --config sidecar.yaml
  dc-sidecar rollback --config sidecar.yaml --reason "errors in dc2"
  dc-sidecar rollback 3a7f09c21b44 --config sidecar.yaml --yes"""


@click.command("rollback", cls=ChangingCommand, epilog=_EPILOG)
@click.argument("revision", metavar="[REVISION]", required=False)
@click.option("--state-dir", "flag_state_dir", metavar="PATH", help="Of the sidecar whose record has the documents.")
@click.option("--list", "listing", is_flag=True, help="List what there is to go back to, and change nothing.")
@click.pass_context
def command(ctx: click.Context, /, revision: str | None, *, listing: bool, **_: Any) -> int:  # noqa: ANN401 - flags
    """Write the document of REVISION again, or else the one before this.

    It comes from the config center's own history, which Nacos has, or from the
    record that a sidecar keeps in its --state-dir. The text is as it was, but
    for `meta`, which tells of the rollback.
    """
    orders = orders_of(ctx)
    past = past_of(orders.source, open_named(ctx).read("state-dir"))
    if listing:
        _list(orders, past)
        return 0
    formers = past.formers(_REMEMBERED, orders.timeout)

    def make(opened: CurrentDocument, _: int) -> bytes:
        return chosen(formers, opened.revision, revision).text

    content = orders.source.read(orders.timeout)
    former = chosen(formers, read_current(content.text).revision if isinstance(content, Content) else "", revision)
    # Where a reason is demanded, it is the operator's to give.
    reason = orders.reason or ("" if orders.rules.require_reason else f"rollback to {former.revision}")
    return carry_out(replace(orders, reason=reason), Edit(make=make))


def past_of(source: Source, state_dir: Path | None) -> VersionHistory:
    """Return who remembers the documents of a source. Raises Refused where nobody does."""
    if source.history is not None:
        return _Own(source.history)
    if state_dir is not None:
        return _Recorded(state_dir / FOLDER, source.url)
    raise ChangeRefused(
        f"{source.url} keeps no history: name the state directory of a sidecar that follows it, with --state-dir, or "
        "put a text of your own in place, with `dc-sidecar put FILE`"
    )


@dataclass(frozen=True, slots=True)
class _Own:
    """The config center's own history."""

    history: History

    def formers(self, limit: int, timeout: float) -> Sequence[Version]:
        return [
            Version(entry.text, entry.at_ns // SECOND_NS * SECOND_NS, entry.author.user)
            for entry in self.history.entries(limit, timeout)
            if entry.text is not None
        ]


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The record of changes that a sidecar keeps."""

    folder: Path
    source: str

    def formers(self, limit: int, timeout: float) -> Sequence[Version]:  # noqa: ARG002 - a file does not keep one waiting
        try:
            found = [*islice(documents(self.folder, self.source), limit)]
        except OSError as error:
            raise SourceError(f"the record in {self.folder} cannot be read: {error.strerror}") from error
        return [Version(one.text.encode(), one.at_ns, _text(one.meta, "by")) for one in found]


def _list(orders: Orders, past: VersionHistory) -> None:
    formers = past.formers(_REMEMBERED, orders.timeout)
    entries = [(former, read_current(former.text, max_bytes=orders.max_bytes)) for former in formers]
    if orders.output == "json":
        print_json(
            [
                {
                    "revision": former.revision,
                    "at": format_time(former.at_ns),
                    "by": former.by,
                    "valid": opened.document is not None,
                    "meta": dict(opened.document.meta) if opened.document else {},
                }
                for former, opened in entries
            ]
        )
        return
    if not entries:
        say("Nothing is remembered.")
        return
    rows = [("REVISION", "AT", "BY", "REASON")]
    for former, opened in entries:
        meta = opened.document.meta if opened.document else {"reason": "(no valid document)"}
        rows.append(
            (former.revision, format_time(former.at_ns), _text(meta, "by") or former.by or "-", _text(meta, "reason"))
        )
    click.echo("\n".join(columns(rows)))


def _text(meta: Any, key: str) -> str:  # noqa: ANN401 - `meta` is free
    value = meta.get(key, "")
    return value if isinstance(value, str) else ""
