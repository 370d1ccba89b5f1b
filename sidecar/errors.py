"""The errors this project raises on purpose, each with its exit code and its gRPC status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class SidecarError(Exception):
    """What every error of ours is.

    The message is for an operator: what was found, what was expected, what to do next. `exit_code` is what the command
    line ends with, `grpc_status` the name of the status that a call is answered with.
    """

    exit_code: ClassVar[int] = 1
    grpc_status: ClassVar[str] = "INTERNAL"


class ConfigError(SidecarError):
    """The sidecar's own configuration is wrong: a flag, an environment variable, a key of its file, a source's URL."""

    exit_code = 78


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a routing document; `path` as in `apps.billing.split.dc1`, line and column from 1."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.path or "the document"
        if self.line is not None:
            place += f" (line {self.line}, column {self.column})"
        return f"{place}: {self.message}"


class DocumentRejected(SidecarError):
    """A text is not a valid routing document; it is refused whole. `problems` has at least one, in the text's order."""

    exit_code = 1
    grpc_status = "FAILED_PRECONDITION"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    @property
    def summary(self) -> str:
        """The first problem in one line, and how many more there are."""
        more = len(self.problems) - 1
        return f"{self.problems[0]}" + (f" (and {more} more)" if more else "")


class SourceError(SidecarError):
    """The config center cannot be asked now: unreachable, refused the credentials, did not answer in time."""

    exit_code = 6
    grpc_status = "UNAVAILABLE"


class ChangeRefused(SidecarError):
    """A change is not made: a rule speaks against it, or the document leaves no room for it."""

    exit_code = 3
    grpc_status = "FAILED_PRECONDITION"


class WriteConflict(SidecarError):
    """Somebody else wrote the key in between; nothing was written."""

    exit_code = 4
    grpc_status = "ABORTED"


class BadRequest(SidecarError):
    """A request breaks a bound or a rule; `field` says which of its fields, `message` what is wrong with it."""

    exit_code = 2
    grpc_status = "INVALID_ARGUMENT"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class NotServing(SidecarError):
    """There is no routing document yet, or the sidecar is going down."""

    exit_code = 6
    grpc_status = "UNAVAILABLE"
