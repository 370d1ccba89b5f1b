"""Opens what judges signed documents by settings; not imported where these do not ask for signatures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.errors import ConfigError, DocumentRejected
from sidecar.file_reloader import FileReloader, read_file
from sidecar.routing.model import RoutingDocument
from sidecar.trust.allowed_signers import AllowedSigners, read_allowed_signers
from sidecar.trust.app_signers import AppSigners
from sidecar.trust.envelope import NAMESPACE
from sidecar.trust.signatures import Requirements, SignatureAdmission, check_requirements, verified_by

log = logging.getLogger(__name__)

Parse = Callable[[bytes], RoutingDocument]
InForce = Callable[[], tuple[bytes, RoutingDocument] | None]

_OPTION = "--allowed-signers"
# Of the lines that are not used, so many are logged.
_MOST_WARNINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSettings:
    """The settings of signatures, by the names of their options."""

    allowed_signers: Path
    require_signatures: int = 1
    signers_for: tuple[AppSigners, ...] = ()
    fewer_signatures: tuple[tuple[str, int], ...] = ()
    override_signatures: int | None = None
    environment: str = ""


@dataclass(slots=True)
class SignedDocuments:
    """The admission of signed documents, and what follows the file of their signers."""

    settings: SignatureSettings
    signers: AllowedSigners = field(init=False)
    admission: SignatureAdmission = field(init=False)
    requirements: Requirements = field(init=False)
    _content: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = self.settings
        self.requirements = Requirements(
            given.require_signatures, dict(given.fewer_signatures), given.signers_for, given.environment
        )
        self._content = read_file(given.allowed_signers, _OPTION)
        self.signers = self._read(self._content)
        self.admission = SignatureAdmission(self.signers, self.requirements)

    def reloader(self, changed: Callable[[], None], in_force: InForce) -> FileReloader:
        """Return the reloader of the signers' file; it calls `changed` after each reload.

        `in_force` returns the source's document in force, None while there is none: it stays in force under
        new signers, and the log says so where its signatures would not be enough any more.
        """

        def apply(content: bytes) -> None:
            before, self.signers = self.signers, self._read(content)
            self.admission.replace_signers(self.signers)
            found = in_force()
            if found is not None:
                self._warn_of_lost(*found, before)
            changed()

        return FileReloader(self.settings.allowed_signers, _OPTION, apply, known=self._content)

    def parse_override(self, parse: Parse) -> Parse:
        """Return a `parse` for the override's text: it needs the signers that its own option asks for, in any order."""
        needed = self.settings.override_signatures
        if needed is None:
            return parse

        def parse_signed(text: bytes) -> RoutingDocument:
            verified_by(text, self.signers, needed, time.time())
            return parse(text)

        return parse_signed

    def check_snapshot(self, text: bytes, applied_at_ns: int) -> None:
        """Raise DocumentRejected for a snapshot that is not signed enough, at the time when it was put in force."""
        verified_by(text, self.signers, self.requirements.fewest, applied_at_ns / 1e9)

    def _warn_of_lost(self, text: bytes, document: RoutingDocument, before: AllowedSigners) -> None:
        """Log that a document was signed enough by the signers before, and is not by those since."""
        now_ns = time.time_ns()

        def at_a_restart(signers: AllowedSigners) -> None:
            verified_by(text, signers, self.requirements.fewest, now_ns / 1e9)

        def at_a_first_start(signers: AllowedSigners) -> None:
            SignatureAdmission(signers, self.requirements).check_change(text, document, None, now_ns)

        for check in (at_a_restart, at_a_first_start):
            reason = _refusal(check, self.signers)
            if reason and not _refusal(check, before):
                log.warning(
                    "the document stays in force, but would be refused now (%s): a new sidecar, or a restart, "
                    "may refuse it; have it signed again",
                    reason,
                )
                return

    def _read(self, content: bytes) -> AllowedSigners:
        place = f"{_OPTION} {self.settings.allowed_signers}"
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise ConfigError(f"{place}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
        signers = read_allowed_signers(text, place, NAMESPACE)
        check_requirements(self.requirements, signers, place)
        for warning in signers.warnings[:_MOST_WARNINGS]:
            log.warning("%s", warning)
        if len(signers.warnings) > _MOST_WARNINGS:
            log.warning("%s: %d more lines are not used", place, len(signers.warnings) - _MOST_WARNINGS)
        return signers


def _refusal(check: Callable[[AllowedSigners], None], signers: AllowedSigners) -> str:
    try:
        check(signers)
    except DocumentRejected as error:
        return str(error)
    return ""
