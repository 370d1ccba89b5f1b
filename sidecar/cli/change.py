"""Commands that change the document: plan, gather, review, confirm, apply."""

from __future__ import annotations

import os
import pwd
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import click

from sidecar.cli.params import (
    DEFAULT_ADDRESS,
    SECONDS,
    CandidatesParam,
    Flag,
    SourceCommand,
    flag,
    open_key,
    operator_flags,
    output_flag,
    tls_flags,
)
from sidecar.cli.render import (
    Style,
    change_lines,
    change_report,
    difference_lines,
    print_json,
    print_lines,
    say,
    styled,
)
from sidecar.cli.sidecars import (
    Confirmation,
    Connect,
    Endpoint,
    check_connections,
    connecting,
    live_workers,
    resolve,
    statuses,
    wait_for_revision,
)
from sidecar.client import Status, Worker
from sidecar.editing.draft import CurrentDocument, Draft, Edit, difference, plan
from sidecar.editing.facts import Facts
from sidecar.editing.meta import ChangeMeta
from sidecar.editing.review import Review, review
from sidecar.editing.safety_rules import RULES, SafetyRules, enforce
from sidecar.errors import ChangeRefused, SourceError, WriteConflict
from sidecar.routing.location import Locator
from sidecar.routing.outage import Fault, FaultKind, Outages, unhealthy
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.state import State
from sidecar.sources.base import Content, Source

# The exit code for a document that is written, but not known to be served by every sidecar.
NOT_CONFIRMED = 5
# How long a config center may go on showing what was there before a write, and how often to look.
_LAG_S = 2.0
_LOOK_S = 0.1


class ChangeCommand(SourceCommand):
    """A command that changes the document."""

    def more_flags(self) -> list[Flag]:
        """Return the options of all changes."""
        who = partial(flag, section="Who and why")
        safety = partial(flag, section="Safety")
        waiting = partial(flag, section="Waiting")
        return [
            who(["--reason"], "Reason, written to `meta` in the document.", default="", metavar="TEXT"),
            who(["--ticket"], "Ticket, written to `meta`.", default="", metavar="TEXT"),
            who(["--by"], "Author, written to `meta`.  [default: your user name]", default="", metavar="NAME"),
            who(["--meta"], "Turn a bare word into a document, which has room for `meta`.", is_flag=True),
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
            waiting(
                ["--wait"],
                "Wait until every --sidecar serves the new document, for up to SECONDS (30 if not given).",
                type=SECONDS,
                is_flag=False,
                flag_value="30s",
            ),
            *operator_flags(),
            *tls_flags("Waiting"),
            output_flag(),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions:
    """The options of a ChangeCommand.

    `workers` are the live ones as the operator gave them, None to ask sidecars. `wait` is how many seconds to wait for
    `sidecars`, None not to wait.
    """

    source: Source
    timeout: float
    max_bytes: int
    rules: SafetyRules
    by: str
    reason: str
    ticket: str
    full_document: bool
    dry_run: bool
    yes: bool
    forced: frozenset[str]
    redo: int
    workers: tuple[Worker, ...] | None
    output: str
    wait: float | None
    sidecars: tuple[str, ...]
    connect: Connect

    @property
    def may_ask(self) -> bool:
        """Whether there is somebody to put a question to."""
        return not self.yes and sys.stdin.isatty()


def change_options(ctx: click.Context) -> ChangeOptions:
    """Return the options of a ChangeCommand. Raises ConfigError and click's errors."""
    given = ctx.params
    key = open_key(ctx)
    sidecars = key.values["sidecar"].texts or tuple(os.environ.get("DC_SIDECAR_ADDRESS", "").split())
    if given["wait"] is not None and not sidecars:
        raise click.UsageError("--wait: for which sidecars? Name them with --sidecar or in the --config file", ctx)
    return ChangeOptions(
        source=key.source,
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
        dry_run=given["dry_run"],
        yes=given["yes"],
        forced=frozenset(given["forced"]),
        redo=given["redo"],
        workers=given["candidates"],
        output=given["output"],
        wait=given["wait"],
        sidecars=sidecars,
        connect=connecting(given),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change ended: the exit code, and whether the document was written."""

    exit_code: int
    written: bool = False


def run_change(options: ChangeOptions, edit: Edit) -> int:
    """Make a change as `make_change` does; return the exit code."""
    return make_change(options, edit).exit_code


def make_change(options: ChangeOptions, edit: Edit) -> Outcome:
    """Make a change, or show it and stop, as the options say.

    Raises ChangeRefused, click.UsageError where nobody can be asked, ConfigError, and SourceError where the config
    center does not answer: nothing is written then.
    """
    rules = options.rules
    redone = 0
    while True:
        current = read_current(options)
        meta = ChangeMeta(by=options.by, at_ns=time.time_ns(), reason=options.reason, ticket=options.ticket)
        draft = plan(current, edit, meta, full_document=options.full_document, max_bytes=options.max_bytes)
        facts = gather(draft, options)
        judged = review(draft, facts, rules)
        if not _confirmed(draft, judged, options):
            return Outcome(0)
        try:
            apply(draft, options)
        except WriteConflict:
            theirs = read_current(options, other_than=current.version)
            _show_conflict(current, theirs)
            if redone < options.redo or (options.may_ask and _ask("Apply your change on top of it?")):
                # The change that the hold-off would wait for has just been shown.
                rules = replace(rules, hold_off=0.0)
                redone += 1
                continue
            lines = list(difference(current.text, theirs.text or b""))
            _report(draft, judged, options, conflict={"revision": theirs.revision, "difference": lines})
            return Outcome(WriteConflict.exit_code)
        say(f"Written: revision {draft.new.revision}.")
        return Outcome(_await_sidecars(draft, judged, options), written=True)


def read_current(options: ChangeOptions, *, other_than: str | None = None) -> CurrentDocument:
    """Return what the key holds; where another version must be there, wait a little for it."""
    content = _read(options, other_than)
    if content is None:
        return CurrentDocument()
    return CurrentDocument(parse_text(content.text, max_bytes=options.max_bytes), content.version)


def _read(options: ChangeOptions, other_than: str | None = None) -> Content | None:
    deadline = time.monotonic() + (_LAG_S if other_than is not None else 0.0)
    while True:
        found = options.source.read(options.timeout)
        content = found if isinstance(found, Content) else None
        if (content.version if content else None) != other_than or time.monotonic() >= deadline:
            return content
        time.sleep(_LOOK_S)


def gather(draft: Draft, options: ChangeOptions) -> Facts:
    """Return what is known of live workers and outages, as given or as the sidecars say, and of a gray version.

    Raises ConfigError where the sidecars cannot be found, or no connection to them can be opened, and SourceError.
    """
    endpoints = resolve(options.sidecars)
    check_connections(endpoints, options.connect)
    outages = _outages(draft, endpoints, options.connect)
    gray = options.source.gray(options.timeout)
    if options.workers is not None:
        document = draft.new.document
        locate = Locator(document.datacenters if document else None).locate
        counts = Counter(worker.datacenter or locate(worker) for worker in options.workers)
        return Facts(counts=counts, outages=outages, gray=gray)
    apps = draft.apps(outages)
    asked = endpoints or resolve([DEFAULT_ADDRESS])
    seen = live_workers(asked, options.connect, apps, draft.current.revision) if apps else {}
    return Facts(live_workers=seen, outages=outages, gray=gray)


def _outages(draft: Draft, endpoints: Sequence[Endpoint], connect: Connect) -> Outages:
    """Return the outages that sidecars found and the document does not have."""
    if draft.current.document is None:
        return {}
    written = State(draft.current.document, 0, draft.meta.at_ns).out
    return {
        # An older sidecar sends a text only.
        outage.datacenter: unhealthy(outage.fault or Fault(FaultKind.OTHER, text=outage.reason))
        for _, status in statuses(endpoints, connect)
        if isinstance(status, Status)
        for outage in status.outages
        if not outage.app and outage.datacenter not in written
    }


def _confirmed(draft: Draft, judged: Review, options: ChangeOptions) -> bool:
    """Show a change; return whether to write it. Raises ChangeRefused, and UsageError where nobody can be asked."""
    for line in change_lines(draft, judged, options.forced):
        print_lines([line], err=options.output == "json")
    try:
        enforce(judged.violations, options.forced)
    except ChangeRefused:
        _report(draft, judged, options)
        raise
    if not draft.changes_text:
        say("Nothing to write: the document already says so.")
    elif options.dry_run:
        say("Dry run: nothing was written.")
    elif options.yes:
        return True
    elif not options.may_ask:
        raise click.UsageError("no terminal to confirm at: pass --yes to write, or --dry-run to only look")
    elif _ask("Write this?"):
        return True
    else:
        say("Nothing was written.")
    _report(draft, judged, options)
    return False


def _ask(question: str) -> bool:
    return click.confirm(question, err=True)


def apply(draft: Draft, options: ChangeOptions) -> None:
    """Write a change by compare-and-set; where an error leaves open whether it was written, read the key.

    Raises WriteConflict and SourceError: nothing was written, or the config center does not answer any more.
    """
    try:
        options.source.write(draft.new.text, draft.current.version, options.timeout)
    except WriteConflict:
        # A lost answer and the source's own retry look like a conflict with ourselves.
        if not _holds(draft.new.text, _read(options, draft.current.version)):
            raise
    except SourceError as error:
        try:
            found = _read(options)
        except SourceError:
            raise error from None
        if not _holds(draft.new.text, found):
            raise


def _holds(text: bytes, content: Content | None) -> bool:
    return content is not None and content.text == text


def _show_conflict(ours: CurrentDocument, theirs: CurrentDocument) -> None:
    say(f"{styled('Conflict: the document was changed meanwhile', Style.BOLD)}; your change was not written.")
    if theirs.document is not None:
        meta = theirs.document.meta
        said = [f"{key} {meta[key]}" for key in ("by", "at", "reason", "ticket") if isinstance(meta.get(key), str)]
        if said and (ours.document is None or meta != ours.document.meta):
            say(f"The other change ({', '.join(said)}):")
    for line in difference_lines(difference(ours.text, theirs.text or b"")):
        print_lines([line], err=True)


def _await_sidecars(draft: Draft, judged: Review, options: ChangeOptions) -> int:
    """Wait until the sidecars serve what was written, if asked to; whatever fails now, it is written."""
    if options.wait is None:
        _report(draft, judged, options, written=True)
        return 0
    revision = draft.new.revision
    try:
        endpoints = resolve(options.sidecars)
        width = max(len(endpoint.address) for endpoint in endpoints)
        show = partial(_show_confirmation, width) if options.output == "text" else lambda _: None
        found = wait_for_revision(endpoints, options.connect, revision, options.wait, show)
    except KeyboardInterrupt:
        say("Interrupted while waiting; the document is written.")
        raise
    except Exception as error:  # noqa: BLE001 - the exit code must say that the document is written
        why = str(error) or type(error).__name__
        _report(draft, judged, options, written=True, error=why)
        say(f"Not confirmed: {why}")
        say("The document is written: check the sidecars with `dc-sidecar status`.")
        return NOT_CONFIRMED
    _report(draft, judged, options, written=True, sidecars=[asdict(one) for one in found])
    missing = [one.address for one in found if not one.confirmed]
    if not missing:
        say(f"Confirmed by all {len(found)}." if len(found) > 1 else "Confirmed.")
        return 0
    say(f"Not confirmed by {len(missing)} of {len(found)}: {', '.join(missing)}. The document is written.")
    return NOT_CONFIRMED


def _show_confirmation(width: int, one: Confirmation) -> None:
    word = styled("confirmed", Style.GREEN) if one.confirmed else styled("missing  ", Style.RED)
    print_lines([f"{one.address.ljust(width)}  {word}  {one.after_s:5.1f} s  {one.said}"])


def _report(draft: Draft, judged: Review, options: ChangeOptions, **outcome: object) -> None:
    """Print a change and what became of it as JSON, where that is asked for."""
    if options.output == "json":
        report = change_report(draft, judged, options.forced)
        print_json({"source": options.source.url, **report, **outcome})


def _user() -> str:
    """Return the user's name; under sudo, that of the person who called it."""
    name = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    try:
        return name or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
