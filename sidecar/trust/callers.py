"""Who calls, and what it may do: the policy, applied to each call before its request is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sidecar.errors import CallerBound, PermissionRefused, Unauthenticated
from sidecar.trust.policy import CallerRule, Policy
from sidecar.trust.tokens import digest_of

T = TypeVar("T")

# Callers whose permits are kept; beyond that number all are dropped and made again.
_MAX_PERMITS = 4096
# Applications that a permit remembers as allowed.
_MAX_NAMES = 4096
_BEARER = "bearer "
_UNIX = b"unix"

OnEnd = Callable[[str], None]
Metadata = Sequence[tuple[str, str | bytes]]
AuthContext = Mapping[bytes, Sequence[bytes]]


class Permit:
    """The rights of one caller, and its calls under way. Without a lock: bounds are kept to a call or two."""

    __slots__ = (
        "_due",
        "allowed",
        "answers",
        "calls",
        "candidates",
        "concurrent",
        "dispatch",
        "identity",
        "interval",
        "rule",
        "streams",
    )

    def __init__(self, identity: str, rule: CallerRule) -> None:
        self.identity = identity
        self.rule = rule
        self.answers: dict[str, Callable[[bytes], Any]] = {}
        self.calls: set[object] = set()
        self.streams: set[object] = set()
        # Whether its requests may count as dispatches, and how many candidates they may have.
        self.dispatch = rule.dispatch
        self.concurrent = rule.concurrent
        self.candidates = float("inf") if rule.candidates is None else rule.candidates
        # The names of requests that were checked already.
        self.allowed: set[tuple[str, ...]] = set()
        # Seconds from one call to the next at the rule's rate; a burst of a second's calls is allowed.
        self.interval = 1.0 / rule.rate if rule.rate else 0.0
        self._due = 0.0

    def bound(self, call: str, answer: Callable[..., T]) -> Callable[[bytes], T]:
        """Return the handler of a method's requests within this permit: made once for each method, not for each call.

        Raises PermissionRefused for a call that the rule does not have.
        """
        self.check_call(call)
        made = self.answers[call] = partial(answer, permit=self)
        return made

    def check_call(self, call: str) -> None:
        """Raise PermissionRefused for a call that the rule does not have."""
        if call not in self.rule.calls:
            raise PermissionRefused(
                f"{self.identity} may not call {call}: its rule is {self.rule.name}, which allows "
                f"{', '.join(sorted(self.rule.calls))}"
            )

    def check_apps(self, names: Sequence[str]) -> None:
        """Raise PermissionRefused unless the rule has each of the names; "" is none, but the default route's."""
        for name in names:
            if name and not self.rule.allows_app(name):
                raise PermissionRefused(
                    f"{self.identity} may not ask about the application {name[:256]!r}: its rule is "
                    f"{self.rule.name}, which allows {', '.join(self.rule.apps)}"
                )

    def check_names(self, names: tuple[str, ...]) -> None:
        """Raise what `check_apps` raises; names that were checked are remembered in `allowed`."""
        self.check_apps(names)
        if len(self.allowed) >= _MAX_NAMES:
            self.allowed.clear()
        self.allowed.add(names)

    def check_every_app(self) -> None:
        """Raise PermissionRefused where the rule is for some applications only."""
        if not self.rule.every_app:
            raise PermissionRefused(
                f"{self.identity} may not ask about all applications: its rule is {self.rule.name}, which allows "
                f"{', '.join(self.rule.apps)}; name them"
            )

    def too_many_candidates(self, count: int) -> CallerBound:
        """Return the error of a request with more candidates than the rule allows."""
        return CallerBound(
            f"{self.identity} sent {count} candidates, and its rule {self.rule.name} allows {self.candidates}: "
            "split the request"
        )

    def take(self) -> None:
        """Count a call against the rate, if the rule has one. Raises CallerBound with the time to wait."""
        interval = self.interval
        if not interval:
            return
        # The generic cell rate algorithm: `due` is when the next call would come if calls came evenly.
        now = time.monotonic()
        due = self._due
        if due < now:
            due = now
        elif due - now > 1.0 - interval:
            raise CallerBound(
                f"{self.identity} makes more than {self.rule.rate} calls/s, which its rule {self.rule.name} allows: "
                f"retry in {due - now - 1.0 + interval:.3f} s"
            )
        self._due = due + interval

    def too_many(self, what: str, most: int) -> CallerBound:
        """Return the error of one more call, or stream, than the rule allows at once."""
        return CallerBound(
            f"{self.identity} has {most} {what}, as many as its rule {self.rule.name} allows: retry when one has "
            "ended, in 0.1 s at the earliest"
        )


class CallerGate:
    """Identifies callers and applies the policy.

    `revoked` says whether a certificate (PEM) is revoked. `replace` may be called from any thread: calls that begin
    afterwards, and requests of open streams, follow the new rules.
    """

    def __init__(
        self,
        policy: Policy,
        tokens: Mapping[bytes, str] | None = None,
        revoked: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.replace(policy=policy, tokens=tokens or {}, revoked=revoked)

    def replace(
        self,
        *,
        policy: Policy | None = None,
        tokens: Mapping[bytes, str] | None = None,
        revoked: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Apply other rules, tokens or revocations from now on."""
        if policy is not None:
            self._policy = policy
        if tokens is not None:
            self.tokens = tokens
        if revoked is not None or not hasattr(self, "_revoked"):
            self._revoked = revoked
        self.permits: dict[bytes, Permit] = {}

    def permit(self, auth: AuthContext, peer: str, metadata: Metadata) -> Permit:
        """Return the permit of a caller. Raises Unauthenticated and PermissionRefused."""
        token = b""
        if self.tokens:
            for name, value in metadata:
                if name == "authorization" and isinstance(value, str) and value[:7].lower() == _BEARER:
                    token = digest_of(value[7:].strip())
                    break
        certificate = auth.get(b"x509_pem_cert")
        # Without token and certificate the kind of connection is all there is.
        shown = certificate[0] if certificate else (_UNIX if peer[:5] == "unix:" else b"")
        permits = self.permits
        known = permits.get(token or shown)
        if known is None:
            if len(permits) >= _MAX_PERMITS:
                permits.clear()
            known = permits[token or shown] = self._made(auth, shown, token)
        return known

    def http_permit(self, token: str, certificate: Mapping[str, object] | None, pem: bytes) -> Permit:
        """Return the permit of a caller over HTTP, by its token or the certificate that `ssl` verified.

        Raises Unauthenticated and PermissionRefused.
        """
        auth: dict[bytes, Sequence[bytes]] = {}
        for kind, value in _alternative_names(certificate or {}):
            auth[kind] = (*auth.get(kind, ()), value)
        digest = digest_of(token) if token else b""
        permits = self.permits
        known = permits.get(digest or pem)
        if known is None:
            if len(permits) >= _MAX_PERMITS:
                permits.clear()
            known = permits[digest or pem] = self._made(auth, pem, digest)
        return known

    def _made(self, auth: AuthContext, kind: bytes, token: bytes) -> Permit:
        names = self._names(auth, kind, token)
        rule = self._policy.rule_for(names)
        if rule is not None:
            return Permit(names[0], rule)
        if names == ("anonymous",):
            raise Unauthenticated(
                "the caller shows neither a client certificate nor a token, and no rule of the policy is for "
                "anonymous: connect with a certificate, or send `authorization: Bearer TOKEN`"
            )
        raise PermissionRefused(f"{', '.join(names)}: no rule of the policy is for this caller")

    def _names(self, auth: AuthContext, kind: bytes, token: bytes) -> tuple[str, ...]:
        """Return the names of a caller: its token's, else those of its certificate, else how it is connected."""
        if token:
            name = self.tokens.get(token)
            if name is None:
                raise Unauthenticated("the token is unknown or was withdrawn: check it, and --tokens of the sidecar")
            return (f"token:{name}",)
        if kind in (b"", _UNIX):
            return ("unix",) if kind else ("anonymous",)
        names = tuple(
            f"{prefix}:{value.decode(errors='replace')}"
            for prefix, part in (("uri", b"peer_uri"), ("dns", b"peer_dns"))
            for value in auth.get(part, ())
        ) or tuple(f"cn:{value.decode(errors='replace')}" for value in auth.get(b"x509_common_name", ()))
        if self._revoked is not None and self._revoked(kind):
            raise Unauthenticated(f"the certificate of {', '.join(names)} is revoked: use another one")
        return names or ("cn:",)


def _alternative_names(certificate: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    """Return the names in a certificate, as `ssl` decodes it, by gRPC's names for their kinds."""
    found: list[tuple[bytes, bytes]] = []
    kinds = {"DNS": b"peer_dns", "URI": b"peer_uri"}
    names = certificate.get("subjectAltName", ())
    for kind, value in names if isinstance(names, tuple) else ():
        if kind in kinds:
            found.append((kinds[kind], str(value).encode()))
    subject = certificate.get("subject", ())
    for part in subject if isinstance(subject, tuple) else ():
        found += [(b"x509_common_name", str(value).encode()) for name, value in part if name == "commonName"]
    return found


class Guard:
    """Applies the policy to the calls of one method."""

    __slots__ = ("_call", "_gate", "_stream", "peer", "tls")

    def __init__(self, gate: CallerGate, call: str, *, stream: bool, tls: bool, peer: str | None = None) -> None:
        self.tls = tls
        self.peer = peer
        self._gate = gate
        self._call = call
        self._stream = stream

    def admit(
        self, auth: AuthContext, peer: str, metadata: Metadata, answer: Callable[..., T], on_end: OnEnd
    ) -> tuple[Callable[[bytes], T], OnEnd]:
        """Return the handler of the call's requests and its end callback. Raises SidecarError for a refused call."""
        # On the path of every call, so without a function call that can be avoided.
        gate = self._gate
        permit = gate.permits.get(_UNIX if peer == "unix:" else b"") if not (auth or gate.tokens) else None
        if permit is None:
            permit = gate.permit(auth, peer, metadata)
        bound = permit.answers.get(self._call)
        if bound is None:
            bound = permit.bound(self._call, answer)
        if self._stream:
            return self._admit_stream(permit, partial(self._gate.permit, auth, peer, metadata), answer, on_end)
        if permit.interval:
            permit.take()
        if permit.concurrent is not None:
            if len(permit.calls) >= permit.concurrent:
                raise permit.too_many("calls under way", permit.concurrent)
            on_end = _entered(permit.calls, on_end)
        return bound, on_end

    def _admit_stream(
        self, permit: Permit, current: Callable[[], Permit], answer: Callable[..., T], on_end: OnEnd
    ) -> tuple[Callable[[bytes], T], OnEnd]:
        most = permit.rule.streams
        if most is not None and len(permit.streams) >= most:
            raise permit.too_many("streams", most)

        def answer_next(request: bytes) -> T:
            # The rules may have changed since the stream began.
            permit = current()
            permit.check_call(self._call)
            permit.take()
            return answer(request, permit=permit)

        return answer_next, _entered(permit.streams, on_end)


def _entered(under_way: set[object], on_end: OnEnd) -> OnEnd:
    """Count a call until its end; return what ends it. Both are atomic."""
    call = object()
    under_way.add(call)

    def ended(code: str) -> None:
        under_way.discard(call)
        on_end(code)

    return ended
