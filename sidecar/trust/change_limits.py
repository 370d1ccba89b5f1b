"""Refuses documents that change too much at once: too many applications, or too many datacenters out of service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from sidecar.errors import DocumentRejected, Problem
from sidecar.routing.model import RoutingDocument
from sidecar.routing.scalars import format_time
from sidecar.routing.shares import shares
from sidecar.routing.state import State
from sidecar.trust.limit_rules import LimitKind, LimitRule

# Each needs the shares of all applications; nobody plans more in one document.
_MAX_MOMENTS = 50
_NAMED = 3

SignersOf = Callable[[bytes], Sequence[str]]


class ChangeLimits:
    """Judges what a document changes, against the one in force: now, at the start of each drill, at the end of ramps.

    A text that at least `exempt` people signed, by `signers_of`, may change anything; None: nothing is exempt. What
    health checks found does not count: the document does not change that.
    """

    def __init__(
        self, rules: Sequence[LimitRule], *, exempt: int | None = None, signers_of: SignersOf = lambda _: ()
    ) -> None:
        self._rules = rules
        self._exempt = exempt
        self._signers_of = signers_of

    def check_text(self, text: bytes, current: bytes | None, now_ns: int) -> None:
        """Accept every text: only its document says what it changes."""

    def check_change(self, text: bytes, after: RoutingDocument, before: RoutingDocument | None, now_ns: int) -> None:
        """Raise DocumentRejected, naming the rules, for a document that changes too much."""
        if self._exempt is not None and len(self._signers_of(text)) >= self._exempt:
            return
        broken = [*self._broken(after, before, now_ns)]
        if broken:
            remedy = "change less at once, or decide by --override"
            if self._exempt is not None:
                remedy = f"change less at once, or have it signed by {self._exempt}"
            raise DocumentRejected(tuple(Problem("", f"--max-change {one}: {remedy}") for one in broken))

    def _broken(self, after: RoutingDocument, before: RoutingDocument | None, now_ns: int) -> Iterator[str]:
        moments = _moments(after, now_ns)
        if len(moments) > _MAX_MOMENTS + 1:
            yield f"found {len(moments) - 1} future drills and ramps, expected {_MAX_MOMENTS} at most"
            return
        for rule in self._rules:
            check = {LimitKind.APPS: _moved, LimitKind.DOWN: _down, LimitKind.LEFT: _left}[rule.kind]
            for at_ns in moments:
                found = check(rule, after, before, at_ns)
                if found:
                    yield f"{rule}: {found}{'' if at_ns == now_ns else f' from {format_time(at_ns)}'}"
                    break


def _moments(document: RoutingDocument, now_ns: int) -> list[int]:
    """Return when the document decides differently from before: now, and later."""
    later = {drill.start_ns for drill in document.drills if drill.start_ns is not None}
    later |= {ramp.start_ns + ramp.duration_ns for ramp in document.ramps}
    return [now_ns, *sorted(at_ns for at_ns in later if at_ns > now_ns)]


def _moved(rule: LimitRule, after: RoutingDocument, before: RoutingDocument | None, at_ns: int) -> str:
    if before is None:
        return ""
    old, new = State(before, 0, at_ns), State(after, 0, at_ns)
    # The empty name is that of no application: its route is the default one.
    names = ["", *dict.fromkeys((*before.apps, *after.apps))]
    moved = [
        name
        for name in names
        if any(_serving(old, name, job) != _serving(new, name, job) for job in _jobs(before, after, name))
    ]
    if len(moved) <= rule.number:
        return ""
    some = ", ".join(name or "the default route" for name in moved[:_NAMED])
    more = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
    return f"{len(moved)} applications would change their datacenters ({some}{more})"


def _jobs(before: RoutingDocument, after: RoutingDocument, app: str) -> Iterable[str]:
    """Return "" for the application's own route, and its jobs with routes of their own."""
    found = {"": None}
    for document in (before, after):
        if app in document.apps:
            found |= dict.fromkeys(document.apps[app].jobs)
    return found


def _serving(state: State, app: str, job: str) -> object:
    """Return which datacenters serve, without their shares."""
    found = shares(state, app, job)
    return found.destination, frozenset(name for name, share in found.by_datacenter if share > 0)


def _down(rule: LimitRule, after: RoutingDocument, before: RoutingDocument | None, at_ns: int) -> str:
    out = _out(after, at_ns)
    # A datacenter that is down already is no change: a document that repairs it must not be refused.
    if len(out) <= rule.number or (before is not None and len(out) <= len(_out(before, at_ns))):
        return ""
    return f"{len(out)} datacenters would be out of service ({', '.join(sorted(out))})"


def _out(document: RoutingDocument, at_ns: int) -> set[str]:
    """Return the datacenters that are out of service for somebody."""
    drilled = {drill.datacenter for drill in document.drills if drill.active(at_ns)}
    return {*State(document, 0, at_ns).out, *drilled}


def _left(rule: LimitRule, after: RoutingDocument, before: RoutingDocument | None, at_ns: int) -> str:
    new = State(after, 0, at_ns)
    old = State(before, 0, at_ns) if before is not None else None
    for app in ("", *after.apps):
        if rule.covers(app):
            left = _in_service(new, app)
            if left < rule.number and (old is None or left < _in_service(old, app)):
                return f"{app or 'the default route'} would have {left} datacenters in service"
    return ""


def _in_service(state: State, app: str) -> int:
    resolved = state.resolve((app,), app, "")
    return len({name for name in resolved.route.names if name not in resolved.out})
