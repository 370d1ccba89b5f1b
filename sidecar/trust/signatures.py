"""Decides whether a document is signed enough: by how many signers, for which applications, in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sidecar.errors import ConfigError, DocumentRejected, Problem
from sidecar.routing.model import RoutingDocument
from sidecar.trust.allowed_signers import AllowedSigners
from sidecar.trust.app_signers import AppSigners
from sidecar.trust.changed_parts import ChangedParts, changed_parts
from sidecar.trust.envelope import NAMESPACE, Envelope, open_envelope
from sidecar.trust.sshsig import read_signature
from sidecar.trust.verification import Message, verifies

# A sequence is the time of signing in milliseconds unless a signer chose another: one that is further ahead would lock
# out all later documents.
_MAX_AHEAD_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Requirements:
    """How many signers a document needs, and who counts.

    `count` signers, `fewer` for changes of one kind only; `apps` restricts who counts for some applications.
    `environment` must be the one that was signed for.
    """

    count: int = 1
    fewer: Mapping[str, int] | None = None
    apps: tuple[AppSigners, ...] = ()
    environment: str = ""

    @property
    def fewest(self) -> int:
        """How many signers any document needs."""
        return min((self.count, *(self.fewer or {}).values()))

    def count_for(self, parts: ChangedParts) -> int:
        """Return how many signers a change needs."""
        return (self.fewer or {}).get(parts.only_kind, self.count)


@dataclass(frozen=True, slots=True)
class Signed:
    """A document's signatures, verified: who signed it, what it has of others, and why those do not count."""

    envelope: Envelope
    signers: tuple[str, ...]
    others: tuple[str, ...] = ()


def check_requirements(requirements: Requirements, signers: AllowedSigners, place: str) -> None:
    """Raise ConfigError where nobody could meet the requirements."""
    everybody = signers.signers
    if requirements.count > len(everybody):
        raise ConfigError(
            f"{place}: found {len(everybody)} signers ({', '.join(everybody)}), expected {requirements.count} at "
            "least, as --require-signatures has it"
        )
    for rule in requirements.apps:
        unknown = [name for name in rule.names if name not in signers.names]
        if unknown:
            raise ConfigError(f"--signers-for {rule.pattern}: {place} does not name {', '.join(unknown)}")
        people = {signers.names[name] for name in rule.names}
        if len(people) < requirements.count:
            raise ConfigError(
                f"--signers-for {rule.pattern}: found {len(people)} signers, expected {requirements.count} at least, "
                "as --require-signatures has it"
            )


def verified(text: bytes, signers: AllowedSigners, at_s: float) -> Signed:
    """Return who signed a text. Raises DocumentRejected where it has no signatures, or not as they must be."""
    envelope = open_envelope(text)
    if envelope is None:
        raise _refused("the document is not signed: sign it with `dc-sidecar sign FILE --sign KEY`")
    message = Message(envelope.message)
    found: dict[str, None] = {}
    others: dict[str, None] = {}
    for one in dict.fromkeys(envelope.signatures):
        signature = read_signature(one)
        if signature is None:
            others["something that is no SSH signature"] = None
            continue
        allowed = signers.keys.get(signature.key)
        if allowed is None:
            others[f"an unknown key ({signature.fingerprint})"] = None
            continue
        signer = allowed[0].signer
        reasons = [key.reason_against(at_s) for key in allowed]
        if not verifies(signature, message, NAMESPACE):
            others[f"{signer}, but for another text"] = None
        elif all(reasons):
            others[f"{signer}, with a key that is {reasons[0]}"] = None
        else:
            found[signer] = None
    return Signed(envelope, tuple(found), tuple(others))


def verified_by(text: bytes, signers: AllowedSigners, needed: int, at_s: float) -> Signed:
    """Return who signed a text, without regard to its changes. Raises DocumentRejected for fewer than `needed`."""
    signed = verified(text, signers, at_s)
    _demand(signed, signers.signers, needed, "")
    return signed


class SignatureAdmission:
    """Admits documents that are signed as required, each newer than the one before; for the table's thread.

    `replace_signers` may be called from another thread.
    """

    def __init__(self, signers: AllowedSigners, requirements: Requirements) -> None:
        self._signers = signers
        self._requirements = requirements
        self._last: tuple[bytes, Signed] | None = None

    def replace_signers(self, signers: AllowedSigners) -> None:
        """Judge by other signers from now on."""
        self._last = None
        self._signers = signers

    def signers_of(self, text: bytes) -> tuple[str, ...]:
        """Return who signed the text that was admitted last."""
        last = self._last
        return last[1].signers if last is not None and last[0] == text else ()

    def check_text(self, text: bytes, current: bytes | None, now_ns: int) -> None:
        """Check what needs no document: signatures at all, the environment, the order. Raises DocumentRejected."""
        now_s = now_ns / 1e9
        signed = verified_by(text, self._signers, self._requirements.fewest, now_s)
        self._last = (text, signed)
        environment = self._requirements.environment
        if signed.envelope.line.environment != environment:
            raise _refused(
                f"signed for {_environment(signed.envelope.line.environment)}, and this sidecar is of "
                f"{_environment(environment)}: sign the document for it with --environment"
            )
        self._check_order(signed.envelope, current, now_s)

    def check_change(self, text: bytes, after: RoutingDocument, before: RoutingDocument | None, now_ns: int) -> None:
        """Check who must have signed what the document changes. Raises DocumentRejected."""
        last = self._last
        signed = last[1] if last is not None and last[0] == text else verified(text, self._signers, now_ns / 1e9)
        parts = changed_parts(before, after)
        needed = self._requirements.count_for(parts)
        _demand(signed, self._signers.signers, needed, "")
        for rule in self._requirements.apps:
            if rule.covers(parts):
                people = dict.fromkeys(self._signers.names.get(name, name) for name in rule.names)
                _demand(signed, tuple(people), needed, f" for changes of {rule.pattern}")

    def _check_order(self, envelope: Envelope, current: bytes | None, now_s: float) -> None:
        sequence = envelope.line.sequence
        if sequence > (now_s + _MAX_AHEAD_S) * 1000:
            raise _refused(
                f"the sequence {sequence} is more than a day ahead of the time in milliseconds, "
                f"{int(now_s * 1000)}: check the clocks of signer and sidecar, then sign the document again"
            )
        known = open_envelope(current) if current is not None else None
        if known is None or known.message == envelope.message:
            return
        if sequence <= known.line.sequence:
            raise _refused(
                f"the sequence {sequence} does not follow {known.line.sequence}, that of the document in force: this "
                "is an earlier document, or one that was signed beside it; to go back, sign it again"
            )


def _demand(signed: Signed, counting: Collection[str], needed: int, for_what: str) -> None:
    have = [name for name in signed.signers if name in counting]
    if len(have) < needed:
        raise _refused("; ".join(_shortage(signed, have, counting, needed, for_what)))


def _shortage(
    signed: Signed, have: Collection[str], counting: Collection[str], needed: int, for_what: str
) -> Iterator[str]:
    yield f"signed by {_named(signed.signers)}"
    missing = [name for name in counting if name not in have]
    more = needed - len(have)
    yield f"{more} more must sign{for_what}, of {', '.join(missing)} (of {needed} in all)"
    if signed.others:
        yield f"not counted: {', '.join(signed.others)}"


def _named(names: Collection[str]) -> str:
    return ", ".join(names) or "nobody who counts"


def _environment(name: str) -> str:
    return f"the environment {name}" if name else "no environment"


def _refused(message: str) -> DocumentRejected:
    return DocumentRejected((Problem("signatures", message),))
