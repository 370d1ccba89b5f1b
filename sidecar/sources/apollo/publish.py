"""Releasing through the portal, which has no compare-and-set: conflicts are detected, and what can be is undone."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping

from sidecar.errors import ChangeRefused, ConcurrentWrite, PortalRefused, RequestNotSent, SourceError, WriteConflict
from sidecar.sources.apollo.history import ApolloHistory
from sidecar.sources.apollo.open_api import Item, Portal, PortalRelease
from sidecar.sources.apollo.settings import ApolloSettings, PortalSettings
from sidecar.sources.base import ChangeNote, Content, Missing

log = logging.getLogger(__name__)

# Apollo's columns; longer texts are an error of the database there.
_TITLE = 64
_COMMENT = 256

_HISTORY_TIMEOUT_S = 2.0
_ROLLED_BACK_ENTRIES = 20


def read_released(settings: ApolloSettings, portal: PortalSettings, timeout: float) -> Content | Missing:
    """Return the text of the ordinary release, as the portal has it; its version is the cluster and the release's id.

    Raises SourceError.
    """
    cluster, release = Portal(settings, portal, time.monotonic() + timeout).in_force()
    key = settings.key
    text = "" if release is None else release.values.get(key.key, "")
    if release is None or not text.strip():
        return Missing(f"{key.name} is in no release of cluster {cluster}: release it, or check the names")
    return Content(text.encode(), _version(cluster, release))


def publish(
    settings: ApolloSettings,
    portal: PortalSettings,
    text: bytes,
    expected_version: str | None,
    note: ChangeNote,
    timeout: float,
) -> str:
    """Edit the key and release it in place of `expected_version` (None: no text released yet); return the new version.

    Raises WriteConflict and ChangeRefused with nothing released and the edit taken back; ConcurrentWrite where somebody
    released at the same time; SourceError.
    """
    value = _value_of(text, portal)
    write = _Write(settings, portal, note, time.monotonic() + timeout)
    before = write.check(expected_version)
    write.edit(value)
    write.check_again(before, value)
    return write.release(before, value)


class _Write:
    """One write: check, edit, check again, release."""

    def __init__(self, settings: ApolloSettings, portal: PortalSettings, note: ChangeNote, deadline: float) -> None:
        self._key = settings.key.key
        self._name = settings.key.name
        self._settings = portal
        self._portal = Portal(settings, portal, deadline)
        self._history = ApolloHistory(settings)
        self._operator = portal.operator or note.by
        self._note = note
        self._cluster = settings.key.cluster
        self._old: Item | None = None

    def check(self, expected_version: str | None) -> PortalRelease | None:
        """Return the release to replace; nothing is changed yet. Raises WriteConflict, ChangeRefused, SourceError."""
        if not self._operator:
            raise SourceError("Apollo records who edits and releases: set --apollo-operator to a user of the portal")
        self._cluster, release = self._portal.in_force()
        text = "" if release is None else release.values.get(self._key, "")
        version = _version(self._cluster, release) if release is not None and text.strip() else None
        if version != expected_version:
            raise WriteConflict(
                f"The release in force is {version or 'none'}, expected {expected_version or 'none'}: somebody else "
                "released. Nothing was written."
            )
        owner = self._portal.lock(self._cluster)
        if owner and owner != self._operator:
            raise ChangeRefused(
                f"{owner} has unreleased edits and with them the namespace's lock (namespace.lock.switch): somebody "
                "else must release them, or they must be taken back in the portal. Nothing was written."
            )
        items = self._portal.items(self._cluster)
        self._old = items.get(self._key)
        self._check_edits(items, {} if release is None else release.values)
        return release

    def _check_edits(self, items: Mapping[str, Item], released: Mapping[str, str]) -> None:
        foreign = [
            f"{key} (by {item.by or 'somebody'})"
            for key, item in items.items()
            if item.value != released.get(key) and item.by != self._operator and not self._is_rolled_back(key, item)
        ]
        foreign += [f"{key} (deleted)" for key in released.keys() - items.keys()]
        if foreign:
            raise ChangeRefused(
                f"The namespace has unreleased edits that would go out with this release: {', '.join(sorted(foreign))}."
                " Release them or take them back in the portal (a rollback leaves such edits, too). Nothing was "
                "written."
            )

    def _is_rolled_back(self, key: str, item: Item) -> bool:
        """Return whether the edit is of our key and the remains of a rollback: a text that was released before."""
        if key != self._key:
            return False
        with contextlib.suppress(SourceError):
            entries = self._history.entries(_ROLLED_BACK_ENTRIES, _HISTORY_TIMEOUT_S)
            return any(entry.text == item.value.encode() for entry in entries)
        return False

    def edit(self, value: str) -> None:
        """Edit the key. Raises SourceError, ChangeRefused."""
        try:
            self._portal.put(self._cluster, value, self._operator)
        except PortalRefused as error:
            raise ChangeRefused(
                f"{error}. The edit was made as user {self._operator!r} (--apollo-operator). Nothing was written."
            ) from None
        except RequestNotSent:
            raise
        except SourceError as error:
            raise SourceError(f"{error}; the edit may stand there, unreleased: look at the namespace") from None

    def check_again(self, before: PortalRelease | None, value: str) -> None:
        """Raise WriteConflict, with the edit taken back, if somebody released between check and edit."""
        now = self._portal.latest(self._cluster)
        if (now and now.id) == (before and before.id):
            return
        # Theirs is in force: the edit goes back to what it releases, unless it released our own text.
        theirs = None if now is None else now.values.get(self._key)
        self._take_back(value, None if theirs is None else Item(theirs, ""))
        raise WriteConflict(f"Somebody else released meanwhile: {now.label if now else 'none'}. Nothing was released.")

    def release(self, before: PortalRelease | None, value: str) -> str:
        """Release; return the new version. Raises ChangeRefused, ConcurrentWrite, SourceError."""
        title, comment = _title(self._note), _comment(self._note)
        try:
            made = self._release(title, comment, value)
        except RequestNotSent:
            self._take_back(value, self._old)
            raise
        if made.values.get(self._key) != value:
            raise ConcurrentWrite(
                f"{made.label} carries an edit that somebody else made in the same moment, and not this change. To "
                f"undo it: dc-sidecar rollback; {_list(before)}"
            )
        self._check_previous(before, made)
        return _version(self._cluster, made)

    def _release(self, title: str, comment: str, value: str) -> PortalRelease:
        try:
            return self._portal.release(self._cluster, title, comment, self._operator, emergency=False)
        except PortalRefused as error:
            refusal = str(error)
        locked = self._portal.lock(self._cluster) == self._operator
        if not locked or not self._settings.emergency:
            self._take_back(value, self._old)
            why = (
                f"the namespace's lock is on (namespace.lock.switch): who edits may not release, and {self._operator} "
                "would do both. Edit in the portal and let somebody else release; in an emergency pass "
                "--apollo-emergency-publish"
                if locked
                else refusal
            )
            raise ChangeRefused(f"Not released, and the edit is taken back: {why}.")
        log.warning(
            "EMERGENCY PUBLISH of %s: %s edits and releases past the namespace's lock", self._name, self._operator
        )
        mark = "EMERGENCY "
        return self._portal.release(
            self._cluster, (mark + title)[:_TITLE], (mark + comment)[:_COMMENT], self._operator, emergency=True
        )

    def _take_back(self, value: str, old: Item | None) -> None:
        """Undo our edit, if it still stands. Failing that, a later write finds an edit of the same operator."""
        with contextlib.suppress(SourceError):
            found = self._portal.items(self._cluster).get(self._key)
            if found is None or found.value != value or (old is not None and old.value == value):
                return
            if old is None:
                self._portal.remove(self._cluster, self._operator)
            else:
                self._portal.put(self._cluster, old.value, self._operator)

    def _check_previous(self, before: PortalRelease | None, made: PortalRelease) -> None:
        """Raise ConcurrentWrite where ours replaced another release than the one that was read."""
        try:
            replaced = self._history.replaced(made.id, _HISTORY_TIMEOUT_S)
        except SourceError as error:
            log.debug("whether somebody released at the same time is unknown: %s", error)
            return
        # Someone who released our edit before we could has taken nothing away.
        if replaced is None or replaced[0] == (before.id if before else 0) or replaced[1] == made.values.get(self._key):
            return
        raise ConcurrentWrite(
            f"{made.label} is in force, and replaced release {replaced[0]}, which somebody else put in force in that "
            f"moment. To go back to theirs: dc-sidecar rollback; {_list(before)}"
        )


def _list(before: PortalRelease | None) -> str:
    earlier = (
        f" To go back to {before.label}: roll back in the portal, or dc-sidecar rollback REVISION." if before else ""
    )
    return f"look at both with `dc-sidecar rollback --list`.{earlier}"


def _version(cluster: str, release: PortalRelease) -> str:
    return f"{cluster}/{release.id}"


def _value_of(text: bytes, portal: PortalSettings) -> str:
    if not text.strip():
        raise SourceError("The text to write is blank, which is no document; delete the key in the portal instead.")
    try:
        value = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"The text to write is not UTF-8 (byte {error.start}); Apollo keeps text only.") from None
    length = len(value.encode("utf-16-le")) // 2  # As Java counts.
    if length > portal.item_limit:
        raise ChangeRefused(
            f"The document has {length} characters, and Apollo takes {portal.item_limit} (item.value.length.limit, in "
            "the portal under server settings): raise it there and set --apollo-item-limit to the same, or shorten "
            "the document. Nothing was written."
        )
    return value


def _title(note: ChangeNote) -> str:
    return _cut(f"{note.by or 'dc-sidecar'}: {note.reason or 'change by dc-sidecar'}", _TITLE)


def _comment(note: ChangeNote) -> str:
    parts = (f"by {note.by}" if note.by else "", note.reason, f"ticket {note.ticket}" if note.ticket else "")
    return _cut("; ".join(filter(None, (*parts, "dc-sidecar"))), _COMMENT)


def _cut(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
