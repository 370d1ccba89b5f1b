"""The flags of every command that changes the document, and the options that they make."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import click

from sidecar.cli.earlier import ChangeMemory, history_of
from sidecar.cli.options.contexts import chosen
from sidecar.cli.options.flags import Flag, SourceCommand, flag, open_key, operator_flags, output_flag, tls_flags
from sidecar.cli.options.signing import Signing
from sidecar.cli.options.target import Target
from sidecar.cli.options.values import SECONDS, CandidatesParam
from sidecar.cli.sidecars import Connect, connecting, use_tls
from sidecar.editing.rules import RULES, SafetyRules
from sidecar.editing.versions import VersionHistory
from sidecar.routing.candidates import Worker
from sidecar.sources.base import Source


class ChangeCommand(SourceCommand):
    """A command that changes the document."""

    def more_flags(self) -> list[Flag]:
        """Return the options of all changes."""
        who = partial(flag, section="Who and why")
        safety = partial(flag, section="Safety")
        sidecars = partial(flag, section="Sidecars")
        return [
            who(["--reason"], "Reason, written to `meta` in the document.", default="", metavar="TEXT"),
            who(["--ticket"], "Ticket, written to `meta`.", default="", metavar="TEXT"),
            who(["--by"], "Author, written to `meta`.  [default: your user name]", default="", metavar="NAME"),
            who(["--meta"], "Turn a bare word into a document, which has room for `meta`.", is_flag=True),
            flag(
                ["--propose"],
                "With --sign: store the signed change beside the key, for another operator to `approve`.",
                section="Signing",
                is_flag=True,
            ),
            safety(["--dry-run"], "Show the change and its effect, and write nothing.", is_flag=True),
            safety(["-y", "--yes"], "Write without asking.", is_flag=True),
            safety(
                ["--force", "forced"],
                f"Override a safety rule ({', '.join(RULES)}). Repeatable.",
                type=click.Choice([*RULES]),
                metavar="RULE",
                multiple=True,
            ),
            safety(
                ["--redo"],
                "On a conflict apply the change again on top of the other one, up to N times.",
                type=click.IntRange(0),
                metavar="N",
                default=0,
            ),
            safety(
                ["--candidates"],
                "Live workers: counts (dc1=3,dc2=2), a JSON list of workers as for `filter`, or a file with one (- for "
                "standard input).  [default: as the sidecars saw them]",
                type=CandidatesParam(),
                metavar="WORKERS",
            ),
            sidecars(
                ["--wait"],
                "Wait until every --sidecar serves the new document, for up to SECONDS (30 if not given).",
                type=SECONDS,
                is_flag=False,
                flag_value="30s",
            ),
            *operator_flags(),
            *tls_flags("Sidecars"),
            output_flag(),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions:
    """The options of a ChangeCommand.

    `workers` are the live ones as the operator gave them, None to ask sidecars. `wait` is how many seconds to wait for
    `sidecars`, None not to wait. `history` has the earlier documents, None where nothing keeps any; `memory` remembers
    each change. `context_named`: the operator named the context in this command.
    """

    source: Source
    target: Target
    timeout: float
    max_bytes: int
    rules: SafetyRules
    by: str
    reason: str
    ticket: str
    full_document: bool
    new_apps: bool
    dry_run: bool
    yes: bool
    forced: frozenset[str]
    redo: int
    workers: tuple[Worker, ...] | None
    output: str
    wait: float | None
    sidecars: tuple[str, ...]
    connect: Connect
    history: VersionHistory | None = None
    memory: ChangeMemory | None = None
    context_named: bool = False
    signing: Signing | None = None
    propose: bool = False
    source_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def may_ask(self) -> bool:
        """Whether there is somebody to put a question to."""
        return not self.yes and sys.stdin.isatty()


def change_options(ctx: click.Context) -> ChangeOptions:
    """Return the options of a ChangeCommand. Raises ConfigError and click's errors."""
    given = ctx.params
    key = open_key(ctx)
    if key.target.context:
        use_tls(ctx, chosen(key.target.context))
    memory = ChangeMemory(key.source.url)
    sidecars = key.values["sidecar"].texts or tuple(os.environ.get("DC_SIDECAR_ADDRESS", "").split())
    if given["wait"] is not None and not sidecars:
        raise click.UsageError("--wait: for which sidecars? Name them with --sidecar or in the --config file", ctx)
    signer = key.option("sign")
    if given["propose"] and signer is None:
        raise click.UsageError("--propose: a proposal is signed: pass --sign KEY", ctx)
    return ChangeOptions(
        source=key.source,
        target=key.target,
        timeout=key.timeout,
        max_bytes=key.max_bytes,
        rules=SafetyRules(
            hold_off=key.option("hold-off"),
            require_workers=key.option("require-workers"),
            require_reason=key.option("require-reason"),
        ),
        by=given["by"] or _user(),
        reason=given["reason"],
        ticket=given["ticket"],
        full_document=given["meta"],
        new_apps=given.get("new", False),
        dry_run=given["dry_run"],
        yes=given["yes"],
        forced=frozenset(given["forced"]),
        redo=given["redo"],
        workers=given["candidates"],
        output=given["output"],
        wait=given["wait"],
        sidecars=sidecars,
        connect=connecting(given),
        history=history_of(key.source, key.option("state-dir"), memory),
        memory=memory,
        context_named=given["context"] is not None,
        signing=Signing(signer, key.option("environment") or "") if signer is not None else None,
        propose=given["propose"],
        source_options=key.source_options,
    )


def _user() -> str:
    """Return the user's name; under sudo, that of the person who called it."""
    name = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    try:
        return name or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
