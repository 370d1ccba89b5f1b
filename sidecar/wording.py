"""English for a view: alerts about the source, the override and the health checks."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.errors import NotServing
from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.scalars import format_time
from sidecar.routing.wording import named, outage_text, second
from sidecar.sources.base import Gray
from sidecar.view import HealthNotice, Override, OverrideProblemKind, SkippedProbe, SkipReason, View

# How many of the probes that are not made are named.
_NAMED = 5


def view_text(view: View) -> str:
    """Return all that an operator must know of override, source and health checks, "" where all is well."""
    override = override_text(view.override) if view.override else ""
    gray = gray_text(view.status)
    health = health_text(view.health) if view.health else ""
    return "; ".join(part for part in (override, source_text(view.status), health, gray) if part)


def source_text(status: SourceStatus) -> str:
    """Return why the source is not SYNCED, "" where it is."""
    if status.error or status.state is SourceState.SYNCED:
        return status.error
    return "not read yet; serving the snapshot" if status.from_snapshot else "not read yet"


def gray_text(status: SourceStatus) -> str:
    """Return which gray version the config center serves here and since when, "" where it serves the ordinary one."""
    if status.gray is None:
        return ""
    since = second(status.gray_since_ns)
    return f"served a gray version ({gray_rule_text(status.gray)}) since {since}; ordinary publishes do not arrive"


def gray_rule_text(gray: Gray) -> str:
    """Return the name of a gray version and the clients that get it."""
    return f"{gray.rule}, for {named(gray.clients)}" if gray.clients else f"{gray.rule}, its clients unknown"


def no_document_text(status: SourceStatus) -> str:
    """Return why there is no document to decide by."""
    return f"no routing document yet; the source is {status.state.name}: {source_text(status)}"


def not_serving(view: View) -> NotServing:
    """Return the error of a call that needs a document while there is none."""
    return NotServing(no_document_text(view.status))


def override_text(override: Override) -> str:
    """Return the alert about the override, in one line."""
    parts = []
    if override.loaded is not None:
        since = format_time(override.since_ns)
        parts.append(f"OVERRIDDEN by {override.url} since {since}: remove the file to end it")
    if override.problem is not None:
        match override.problem.kind:
            case OverrideProblemKind.UNREADABLE:
                parts.append(f"the override is not read: {override.problem.error}")
            case OverrideProblemKind.REFUSED:
                parts.append(f"the override {override.url} is refused: {override.problem.error}")
            case OverrideProblemKind.NEEDED:
                parts.append("its file is gone, and there is no other document")
    return "; ".join(parts)


def health_text(notice: HealthNotice) -> str:
    """Return the alert about the health checks, in one line."""
    return "; ".join(filter(None, (ignored_text(notice), skipped_text(notice))))


def ignored_text(notice: HealthNotice) -> str:
    """Return which verdicts of health checks do not count, "" where all do."""
    if not notice.ignored:
        return ""
    verdicts = "; ".join(f"{name}: {outage_text(outage)}" for name, outage in notice.ignored.items())
    return f"health checks judge every datacenter down, so they are taken for broken and do NOT count: {verdicts}"


def skipped_text(notice: HealthNotice) -> str:
    """Return which probes are not made, "" where all are."""
    if not notice.skipped:
        return ""
    more = len(notice.skipped) - _NAMED
    named = "; ".join(_skipped(notice.skipped[:_NAMED]))
    return f"these probes are not made: {named}" + (f"; and {more} more" if more > 0 else "")


def _skipped(probes: tuple[SkippedProbe, ...]) -> Iterator[str]:
    for probe in probes:
        yield f"{probe.probe} of {probe.datacenter}: {_skip_text(probe)}"


def _skip_text(probe: SkippedProbe) -> str:
    match probe.reason:
        case SkipReason.NOT_ALLOWED:
            return f"--probe-hosts does not allow {probe.target}"
        case SkipReason.TOO_MANY:
            return f"there are {probe.count} already"
        case SkipReason.BUSY:
            return f"{probe.count} earlier ones have not ended yet"
