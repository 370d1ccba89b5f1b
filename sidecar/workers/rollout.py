"""Puts each view in force in all worker processes at once: in steps, so that none is ahead of what watchers know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sidecar.table import View
from sidecar.workers.messages import ActivateView, AnnounceView, Command, LoadDocument


class RolloutMember(Protocol):
    """A worker process as far as views concern it; what it is told it carries out in that order.

    `member` is true once the others wait for it; `applied` is the number of the last view that it put in force.
    """

    member: bool
    applied: int

    def tell(self, order: Command, *, number: int = 0) -> None:
        """Send an order; `number` is that of a view."""

    def holds(self, revision: str) -> bool:
        """Tell whether it was sent the document of this revision, and keeps it."""

    def reads(self, revision: str) -> bool:
        """Tell whether it was sent the document of this revision, and is not done with reading it."""


class Rollout:
    """What the worker processes decide by, given to all of them before any watcher hears of it.

    The steps: all read the document, then each puts the view in force, then their watchers are told. Views that come
    meanwhile wait, and only the newest of them matters. For one thread at a time.
    """

    def __init__(self, view: View) -> None:
        self._wanted = view
        self._given = view
        self._coming: LoadDocument | None = None
        self._number = 0
        self._telling = False

    def want(self, view: View) -> None:
        """Take the view that is to be in force next."""
        self._wanted = view

    def announce(self, document: LoadDocument) -> None:
        """Take a document that may be wanted soon: so it is read by then."""
        self._coming = document

    def reads(self, revision: str, members: Iterable[RolloutMember]) -> bool:
        """Tell whether one that the others wait for is not done with reading an announced document."""
        coming = self._coming is not None and self._coming.revision == revision
        return coming or any(each.reads(revision) for each in members if each.member)

    def welcome(self, member: RolloutMember) -> None:
        """Tell a new one what is in force, and, as far as it may, its watchers."""
        if self._given.state is not None:
            member.tell(LoadDocument(self._given.state.document.revision, self._given.text))
        member.tell(ActivateView.of(self._given), number=self._number)
        if not self._telling:
            member.tell(AnnounceView())

    def go_on(self, members: Sequence[RolloutMember]) -> None:
        """Take the next steps, as far as the answers that have come allow."""
        if self._coming is not None:
            _send(self._coming, members)
            self._coming = None
        if self._telling and all(each.applied == self._number for each in members if each.member):
            for each in members:
                each.tell(AnnounceView())
            self._telling = False
        view = self._wanted
        if self._telling or view is self._given:
            return
        if view.state is not None:
            document = LoadDocument(view.state.document.revision, view.text)
            _send(document, members)
            if self.reads(document.revision, members):
                return
        self._number += 1
        order = ActivateView.of(view)
        for each in members:
            each.tell(order, number=self._number)
        self._given, self._telling = view, True


def _send(document: LoadDocument, members: Iterable[RolloutMember]) -> None:
    for each in members:
        if not each.holds(document.revision):
            each.tell(document)
