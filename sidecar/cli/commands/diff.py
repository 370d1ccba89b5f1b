"""`dc-sidecar diff`: what a file or an earlier document would change."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click

from sidecar.cli.earlier import ChangeMemory, history_of
from sidecar.cli.options import complete
from sidecar.cli.options.flags import Flag, Key, SourceCommand, open_key, operator_flags, output_flag
from sidecar.cli.render import change_lines, change_report, print_json, print_lines, say, target_plain
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import ParsedText, parse_text

# How many documents are looked through, as for `rollback`.
_LIMIT = 100

_EPILOG = """\b
Examples:
  dc-sidecar diff routing.yaml
  dc-sidecar diff 3a7f09c21b44 --state-dir /var/lib/dc-sidecar
  git show HEAD:routing.yaml | dc-sidecar diff -"""


class _DiffCommand(SourceCommand):
    def more_flags(self) -> list[Flag]:
        flags = operator_flags()
        for one in flags:
            one.hidden = True
        return [*flags, output_flag()]


@click.command("diff", short_help="Show what a change would do.", cls=_DiffCommand, epilog=_EPILOG)
@click.argument("what", metavar="FILE|REVISION", shell_complete=complete.files_and_revisions)
@click.option("--state-dir", "flag_state_dir", metavar="PATH", help="State directory of a sidecar, for REVISION.")
@click.pass_context
def command(ctx: click.Context, /, what: str, *, output: str, **_: Any) -> int:  # noqa: ANN401 - flags of the source
    """Show what writing FILE (- for standard input) or REVISION would change.

    Shows the difference to the document in the key and its effect, and writes
    nothing. Exits with 1 if there is any.
    """
    from sidecar.cli.change import current_of
    from sidecar.editing.draft import Edit, MetaPolicy, plan
    from sidecar.editing.facts import Facts
    from sidecar.editing.meta import ChangeMeta
    from sidecar.editing.review import review
    from sidecar.editing.rules import SafetyRules

    key = open_key(ctx)
    current = current_of(key.source.read(key.timeout), key.target, key.max_bytes)
    other = _other(what, key, current.revision)
    edit = Edit(make=lambda *_: other, meta=MetaPolicy.NEVER)
    draft = plan(current, edit, ChangeMeta(by="", at_ns=time.time_ns()), max_bytes=key.max_bytes)
    judged = review(draft, Facts(), SafetyRules(hold_off=0.0))
    if output == "json":
        print_json({**target_plain(key.target), **change_report(draft, judged, ())})
    elif draft.changes_text:
        print_lines(change_lines(draft, judged, (), all_lines=True))
    else:
        say(f"No difference: {key.target} holds this text.")
    return 1 if draft.changes_text else 0


def _other(what: str, key: Key, current: str) -> ParsedText:
    from sidecar.editing.versions import chosen

    if what == "-" or Path(what).exists():
        with click.open_file(what, "rb") as file:
            return parse_text(file.read(), max_bytes=key.max_bytes)
    history = history_of(key.source, key.option("state-dir"), ChangeMemory(key.source.url))
    if history is None or os.sep in what:
        raise ChangeRefused(f"there is no file {what}" + ("" if history else f", and {key.target} keeps no history"))
    return parse_text(chosen(history.versions(_LIMIT, key.timeout), current, what).text, max_bytes=key.max_bytes)
