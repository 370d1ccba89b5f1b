"""Commands that change the document: plan, gather, review, confirm, apply."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import click

from sidecar.cli.options.change import ChangeOptions
from sidecar.cli.options.flags import DEFAULT_ADDRESS
from sidecar.cli.options.target import Target
from sidecar.cli.render import (
    Style,
    change_lines,
    change_report,
    difference_lines,
    print_json,
    print_lines,
    say,
    styled,
    target_plain,
)
from sidecar.cli.sidecars import (
    Confirmation,
    Connect,
    Endpoint,
    check_connections,
    live_workers,
    resolve,
    statuses,
    wait_for_revision,
)
from sidecar.cli.signing import proposal_source, signed
from sidecar.editing.draft import CurrentDocument, Draft, Edit, difference, plan
from sidecar.editing.facts import Facts
from sidecar.editing.meta import ChangeMeta
from sidecar.editing.review import Review, review
from sidecar.editing.safety_rules import enforce, held_off
from sidecar.errors import ChangeRefused, SidecarError, SourceError, WriteConflict
from sidecar.routing.location import Locator
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Fault, FaultKind, Outages, unhealthy
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.state import State
from sidecar.sources.base import ChangeNote, Content, Missing
from sidecar.trust.envelope import is_signed, unsigned

# The exit code for a document that is written, but not known to be served by every sidecar.
NOT_CONFIRMED = 5
# How long a config center may go on showing what was there before a write, and how often to look.
_LAG_S = 2.0
_LOOK_S = 0.1
# How many versions of the key are searched for the one before the current.
_LOOK_BACK = 5


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
        draft = plan(
            current,
            edit,
            meta,
            full_document=options.full_document,
            new_apps=options.new_apps,
            max_bytes=options.max_bytes,
        )
        facts = gather(draft, options)
        judged = review(draft, facts, rules)
        same = tuple(one for one in judged.violations if one.rule == "same")
        if same and "same" not in options.forced:
            say(f"No change: already in effect in {options.target}.")
            _report(draft, replace(judged, violations=same), options)
            return Outcome(0)
        if not _confirmed(draft, judged, options):
            return Outcome(0)
        if options.signing is not None:
            draft = signed(draft, options.signing, options.max_bytes)
        if options.propose:
            return propose(draft, options)
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
        say(f"Written to {options.target}: revision {draft.new.revision}.")
        if options.memory is not None:
            options.memory.add(draft)
        return Outcome(_await_sidecars(draft, judged, options), written=True)


def read_current(options: ChangeOptions, *, other_than: str | None = None) -> CurrentDocument:
    """Return the key's content; where another version must be there, wait a little for it."""
    return current_of(_read(options, other_than), options.target, options.max_bytes)


def current_of(found: Content | Missing, target: Target, max_bytes: int) -> CurrentDocument:
    """Return the text of a source's report."""
    if isinstance(found, Missing):
        return CurrentDocument(key=str(target), missing=found.reason)
    body = unsigned(found.text)
    signed = found.text if is_signed(found.text) else None
    return CurrentDocument(parse_text(body, max_bytes=max_bytes), found.version, str(target), signed=signed)


def _read(options: ChangeOptions, other_than: str | None = None) -> Content | Missing:
    deadline = time.monotonic() + (_LAG_S if other_than is not None else 0.0)
    while True:
        found = options.source.read(options.timeout)
        version = found.version if isinstance(found, Content) else None
        if version != other_than or time.monotonic() >= deadline:
            return found
        time.sleep(_LOOK_S)


def gather(draft: Draft, options: ChangeOptions) -> Facts:
    """Return the facts for a review: live workers and outages as given or as sidecars report, and the rest.

    Raises ConfigError where the sidecars cannot be found, or no connection to them can be opened, and SourceError.
    """
    endpoints = resolve(options.sidecars)
    check_connections(endpoints, options.connect)
    outages = _outages(draft, endpoints, options.connect)
    gray = options.source.gray(options.timeout)
    earlier = _replaced(draft, options)
    signing = options.signing is not None
    if options.workers is not None:
        document = draft.new.document
        locate = Locator(document.datacenters if document else None).locate
        counts = Counter(worker.datacenter or locate(worker) for worker in options.workers)
        return Facts(counts=counts, outages=outages, gray=gray, replaced=earlier, signing=signing)
    apps = draft.apps(outages)
    asked = endpoints or resolve([DEFAULT_ADDRESS])
    seen = live_workers(asked, options.connect, apps, draft.current.revision) if apps else {}
    return Facts(live_workers=seen, outages=outages, gray=gray, replaced=earlier, signing=signing)


def _replaced(draft: Draft, options: ChangeOptions) -> RoutingDocument | None:
    """Return the document that the last change replaced, where the hold-off asks for it and something keeps it."""
    if options.history is None or not (draft.edit.moves_work and held_off(draft.impact, options.rules)):
        return None
    try:
        versions = options.history.versions(_LOOK_BACK, options.timeout)
    except SourceError:
        return None
    earlier = next((one for one in versions if one.revision != draft.current.revision), None)
    return parse_text(earlier.text, max_bytes=options.max_bytes).document if earlier else None


def _outages(draft: Draft, endpoints: Sequence[Endpoint], connect: Connect) -> Outages:
    """Return the outages that sidecars found and the document does not have."""
    if draft.current.document is None:
        return {}
    written = State(draft.current.document, 0, draft.meta.at_ns).out
    return {
        # An older sidecar sends a text only.
        outage.datacenter: unhealthy(outage.fault or Fault(FaultKind.OTHER, text=outage.reason))
        for _, status in statuses(endpoints, connect)
        if not isinstance(status, SidecarError)
        for outage in status.outages
        if not outage.app and outage.datacenter not in written
    }


def _confirmed(draft: Draft, judged: Review, options: ChangeOptions) -> bool:
    """Show a change; return whether to write it. Raises ChangeRefused, and UsageError where nobody can be asked."""
    print_lines([f"Change of {styled(str(options.target), Style.BOLD)}:"], err=options.output == "json")
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
    elif options.yes and (options.context_named or not options.target.production):
        return True
    elif not options.may_ask:
        raise click.UsageError(_unconfirmed(options))
    elif _agreed(options.target):
        return True
    else:
        say("Nothing was written.")
    _report(draft, judged, options)
    return False


def _unconfirmed(options: ChangeOptions) -> str:
    if options.yes:
        return f"context {options.target.context} is production: beside --yes name it, with --context"
    return "no terminal to confirm at: pass --yes to write, or --dry-run to only look"


def _agreed(target: Target) -> bool:
    """Ask whether to write; for production the context's name must be typed."""
    if not target.production:
        return _ask(f"Write this to {target}?")
    question = f"Write this to {target}? This is production: type {target.context} to write"
    return str(click.prompt(question, default="", show_default=False, err=True)).strip() == target.context


def _ask(question: str) -> bool:
    return click.confirm(question, err=True)


def propose(draft: Draft, options: ChangeOptions) -> Outcome:
    """Write a signed draft to the key for proposals, in place of an earlier one. Raises the errors of `apply`."""
    source = proposal_source(options)
    found = source.read(options.timeout)
    version = found.version if isinstance(found, Content) else None
    note = ChangeNote(draft.meta.by, draft.meta.reason, draft.meta.ticket)
    source.write(draft.new.text, version, options.timeout, note)
    say(f"Proposed as revision {draft.new.revision} in {source.url}; nothing is in force yet.")
    say("Another operator signs and publishes it with `dc-sidecar approve --sign KEY`.")
    return Outcome(0)


def apply(draft: Draft, options: ChangeOptions) -> None:
    """Write a change by compare-and-set; where an error leaves open whether it was written, read the key.

    Raises WriteConflict, ChangeRefused and SourceError: nothing was written, or the config center does not answer any
    more; ConcurrentWrite where it was written at the same time as another text.
    """
    note = ChangeNote(draft.meta.by, draft.meta.reason, draft.meta.ticket)
    try:
        options.source.write(draft.new.text, draft.current.version, options.timeout, note)
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


def _holds(text: bytes, found: Content | Missing) -> bool:
    return isinstance(found, Content) and found.text == text


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
    """Wait until the sidecars serve the new document, if asked to; it is written, even if this fails."""
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
    """Print a change and its outcome as JSON, where `-o` asks for it."""
    if options.output == "json":
        report = change_report(draft, judged, options.forced)
        print_json({**target_plain(options.target), **report, **outcome})
