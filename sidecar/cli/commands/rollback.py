"""`dc-sidecar rollback`: write a document again that was in force before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sidecar.cli.options import complete
from sidecar.cli.options.change import ChangeCommand, ChangeOptions, change_options
from sidecar.cli.render import columns, print_json, print_lines, say
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import format_time
from sidecar.routing.zone import show_time
from sidecar.trust.envelope import unsigned

if TYPE_CHECKING:
    from sidecar.editing.versions import Version

# How many documents are looked through.
_LIMIT = 100

_EPILOG = """\b
Examples:
  dc-sidecar rollback --list --config sidecar.yaml
  dc-sidecar rollback --config sidecar.yaml --reason "errors in dc2"
  dc-sidecar rollback 3a7f09c21b44 --config sidecar.yaml --yes"""


@click.command("rollback", short_help="Write an earlier document again.", cls=ChangeCommand, epilog=_EPILOG)
@click.argument("revision", metavar="[REVISION]", required=False, shell_complete=complete.revisions)
@click.option(
    "--state-dir", "flag_state_dir", metavar="PATH", help="State directory of a sidecar that follows the key."
)
@click.option("--list", "listing", is_flag=True, help="List the documents to go back to, and change nothing.")
@click.pass_context
def command(ctx: click.Context, /, revision: str | None, *, listing: bool, **_: Any) -> int:  # noqa: ANN401 - flags
    """Write the document of REVISION again, by default the previous one.

    It comes from the config center's own history, which Nacos and Apollo have,
    or from the record that a sidecar keeps in its --state-dir, or from the
    changes that were made by you from this machine. The text is restored as it
    was, but for `meta`, which describes the rollback.
    """
    options = change_options(ctx)
    if listing:
        _list(_versions(options), options)
        return 0
    return restore(options, revision)


def restore(options: ChangeOptions, revision: str | None) -> int:
    """Write the document of a revision again, or (None) the one before the current; return the exit code.

    Raises ChangeRefused where nothing has it.
    """
    from sidecar.cli.change import read_current, run_change
    from sidecar.editing.draft import Edit
    from sidecar.editing.versions import chosen

    version = chosen(_versions(options), read_current(options).revision, revision)
    # Where the configuration requires a reason, it must be the operator's own.
    reason = options.reason or ("" if options.rules.require_reason else f"rollback to {version.revision}")
    restored = parse_text(unsigned(version.text), max_bytes=options.max_bytes)
    return run_change(replace(options, reason=reason), Edit(make=lambda *_: restored))


def _versions(options: ChangeOptions) -> Sequence[Version]:
    if options.history is None:
        raise ChangeRefused(
            f"{options.target} keeps no history, and no change was made from here: name the state directory of a "
            "sidecar that follows it with --state-dir, or write a text of your own with `dc-sidecar put FILE`"
        )
    return options.history.versions(_LIMIT, options.timeout)


def _list(versions: Sequence[Version], options: ChangeOptions) -> None:
    entries = [(version, parse_text(version.text, max_bytes=options.max_bytes).document) for version in versions]
    if options.output == "json":
        print_json(
            [
                {
                    "revision": version.revision,
                    "at": format_time(version.at_ns) if version.at_ns else None,
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
        rows.append((version.revision, show_time(version.at_ns) if version.at_ns else "-", by, _text(meta, "reason")))
    print_lines(columns(rows))


def _text(meta: Any, key: str) -> str:  # noqa: ANN401 - `meta` is free
    value = meta.get(key, "")
    return value if isinstance(value, str) else ""
