"""Rolls each view out to all worker processes in steps: no watcher knows of a view that some process does not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sidecar.view import View
from sidecar.workers.messages import ActivateView, AnnounceView, Command, LoadDocument


class RolloutMember(Protocol):
    """A worker process, which carries out commands in the order in which they are sent.

    `joined` is true once the others wait for it; `applied` is the number of the last view that it activated.
    """

    joined: bool
    applied: int

    def send(self, command: Command, *, number: int = 0) -> None:
        """Send a command; `number` is that of the view that it activates."""

    def has_document(self, revision: str) -> bool:
        """Return whether it was sent this document and still keeps it."""

    def is_loading(self, revision: str) -> bool:
        """Return whether it was sent this document and has not finished parsing it."""


class Rollout:
    """Activates views in all worker processes before any watcher hears of them. For one thread at a time.

    The steps: all parse the document, then each activates the view, then all announce it to their watchers. Of the
    views that come meanwhile only the newest is rolled out next.
    """

    def __init__(self, view: View) -> None:
        self._target = view
        self._current = view
        self._preload: LoadDocument | None = None
        self._number = 0
        self._announcing = False

    def set_target(self, view: View) -> None:
        """Set the view to roll out next."""
        self._target = view

    def preload(self, document: LoadDocument) -> None:
        """Load a document that may be needed soon: it is parsed ahead."""
        self._preload = document

    def is_loading(self, revision: str, members: Iterable[RolloutMember]) -> bool:
        """Return whether a process that the others wait for has not finished parsing a document."""
        pending = self._preload is not None and self._preload.revision == revision
        return pending or any(each.is_loading(revision) for each in members if each.joined)

    def add(self, member: RolloutMember) -> None:
        """Bring a new process to the current view."""
        if self._current.state is not None:
            member.send(LoadDocument(self._current.state.document.revision, self._current.text))
        member.send(ActivateView.of(self._current), number=self._number)
        if not self._announcing:
            member.send(AnnounceView())

    def advance(self, members: Sequence[RolloutMember]) -> None:
        """Take the next steps, as far as the acknowledgements that have come allow."""
        if self._preload is not None:
            _load(self._preload, members)
            self._preload = None
        if self._announcing and all(each.applied == self._number for each in members if each.joined):
            for each in members:
                each.send(AnnounceView())
            self._announcing = False
        view = self._target
        if self._announcing or view is self._current:
            return
        if view.state is not None:
            document = LoadDocument(view.state.document.revision, view.text)
            _load(document, members)
            if self.is_loading(document.revision, members):
                return
        self._number += 1
        command = ActivateView.of(view)
        for each in members:
            each.send(command, number=self._number)
        self._current, self._announcing = view, True


def _load(document: LoadDocument, members: Iterable[RolloutMember]) -> None:
    for each in members:
        if not each.has_document(document.revision):
            each.send(document)
