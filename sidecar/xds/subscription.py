"""One stream's subscription to one type, and the resources sent: the part that both variants of xDS share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sidecar.errors import BadRequest
from sidecar.followers import xds_clients
from sidecar.followers.xds_clients import Rejection
from sidecar.routing.fields import TEXT
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import Kind
from sidecar.xds.resources import Resource, Resources

MAX_NAMES = 1000
"""Names of one type that a stream may subscribe to."""

_SHOWN = 20
# Where one response would be larger, several are sent: clients take 4 MiB by default.
_MAX_RESPONSE = 1024 * 1024
# Responses that a client may owe an answer for; those of older ones are not awaited any more.
_MAX_OPEN = 16


@dataclass(slots=True)
class Subscription:
    """The names that a stream subscribed to, with the version of each that was sent last, "" for none."""

    kind: Kind
    sent: dict[str, str] = field(default_factory=dict)
    nonce: str = ""
    version: str = ""
    _acknowledged: str = ""
    _acknowledged_at_ns: int = 0
    _rejection: Rejection | None = None
    # The names whose newest content the client rejected.
    _rejected: set[str] = field(default_factory=set)
    # The version and the names of each response without an answer, by nonce.
    _open: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    # For which everything was sent, None where a name is new.
    _current: Inputs | None = None

    def replace(self, names: Iterable[str]) -> None:
        """Subscribe to these names only. What was sent stays known. Raises BadRequest."""
        wanted = dict.fromkeys(names, "")
        self._check(wanted)
        self.sent = {**wanted, **{name: version for name, version in self.sent.items() if name in wanted}}
        self._rejected &= self.sent.keys()
        self._current = None

    def add(self, names: Iterable[str], known: Mapping[str, str]) -> None:
        """Subscribe to more names; one that is subscribed already is sent again.

        `known` are versions that the client has from an earlier stream. Raises BadRequest.
        """
        wanted = {name: known.get(name, "") for name in names}
        self._check({**self.sent, **wanted})
        self.sent |= wanted
        self._current = None

    def remove(self, names: Iterable[str]) -> None:
        """End the subscription to names."""
        for name in names:
            self.sent.pop(name, None)
            self._rejected.discard(name)

    def due(
        self, resources: Resources, inputs: Inputs, checkpoint: Callable[[], None], *, whole: bool = False
    ) -> dict[str, Resource]:
        """Return the resources that differ from those sent, by name: all of them if one does and it is `whole`.

        `checkpoint` is called often.
        """
        if inputs.same(self._current):
            return {}
        due: dict[str, Resource] = {}
        same: dict[str, Resource] = {}
        size = 0
        for name, sent in self.sent.items():
            checkpoint()
            resource = resources.find(inputs, self.kind, name)
            if resource is None:
                continue
            if resource.version == sent:
                same[name] = resource
                continue
            due[name] = resource
            size += len(resource.content.value)
            if size > _MAX_RESPONSE and not whole:
                return due
        if not due:
            self._current = inputs
        return {**same, **due} if due and whole else due

    def note_sent(self, due: Mapping[str, Resource], version: str, nonce: str) -> None:
        """Take note that these resources are sent."""
        self.sent |= {name: resource.version for name, resource in due.items()}
        self.version, self.nonce = version, nonce
        self._open[nonce] = version, frozenset(due)
        if len(self._open) > _MAX_OPEN:
            del self._open[next(iter(self._open))]

    def accept(self, nonce: str, now_ns: int) -> bool:
        """Take note that the client accepted a response; return False if none of this nonce was open."""
        version, names = self._open.pop(nonce, ("", None))
        if names is None:
            return False
        self._acknowledged, self._acknowledged_at_ns = version, now_ns
        self._rejected -= names
        if not self._rejected:
            self._rejection = None
        return True

    def reject(self, nonce: str, message: str, now_ns: int) -> str | None:
        """Take note that the client rejected a response; return its version, None if none of this nonce was open.

        The client keeps what it had of its resources.
        """
        version, names = self._open.pop(nonce, ("", None))
        if names is None:
            return None
        self._rejected |= names & self.sent.keys()
        self._rejection = Rejection(version, message, now_ns)
        return version

    def status(self) -> xds_clients.Subscription:
        """Return how far the client is."""
        return xds_clients.Subscription(
            type=self.kind.label,
            names=tuple(self.sent)[:_SHOWN],
            count=len(self.sent),
            sent=self.version,
            acknowledged=self._acknowledged,
            acknowledged_at_ns=self._acknowledged_at_ns,
            rejection=self._rejection if self._rejected else None,
        )

    def _check(self, names: Mapping[str, str]) -> None:
        if len(names) > MAX_NAMES:
            raise BadRequest("resource_names", f"found {len(names)} names, expected at most {MAX_NAMES}")
        for name in names:
            if not TEXT.fullmatch(self.kind.app_of(name)):
                expected = "the name of an application, 1 to 256 characters, no control characters"
                raise BadRequest("resource_names", f"found {name[:80]!r}, expected {expected}")
