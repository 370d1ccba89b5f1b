"""The errors of this project that leave their folder, each with its exit code and its gRPC status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class SidecarError(Exception):
    """The base of all of them.

    The message is for an operator: what was found, what was expected, what to do next. `exit_code` is that of the
    command line, `grpc_status` the name of the status that a call is answered with.
    """

    exit_code: ClassVar[int] = 1
    grpc_status: ClassVar[str] = "INTERNAL"


# Configuration.


class ConfigError(SidecarError):
    """The sidecar's own configuration is wrong: a flag, an environment variable, a key of its file, a source's URL."""

    exit_code = 78


class SecretUnreadable(SidecarError):
    """A file has no usable secret; the message follows its path: `cannot be read: Permission denied`, `is empty …`."""


class FlagError(ConfigError):
    """A flag is wrong: unknown, or with a value that it cannot have."""

    exit_code = 2


# The routing document and the key that holds it.


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a routing document; `path` as in `apps.billing.split.dc1`, line and column from 1.

    As a string it is one printable line: what a terminal would interpret is escaped.
    """

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.path or "the document"
        if self.line is not None:
            place += f" (line {self.line}, column {self.column})"
        text = f"{place}: {self.message}"
        # Names in it are the document's own: they may hold tabs, escapes or line breaks.
        return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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


class RequestNotSent(SourceError):
    """No connection to a server of the config center, or no login: it has not seen the request."""


class NoResponse(SourceError):
    """A server of the config center accepted a request and did not answer in time."""


class AccessRefused(SourceError):
    """A server of the config center refuses this client; another server of the cluster would too."""


class PortalRefused(SourceError):
    """Apollo's portal refuses a request as it stands: a lock, an unknown user or name, a value that is too long."""


class SdkFault(SidecarError):
    """A call of the Nacos SDK failed, hung, or cancelled its caller; the message says which."""


class ChangeRefused(SidecarError):
    """A change is not made: it breaks a safety rule, or the document does not allow it."""

    exit_code = 3
    grpc_status = "FAILED_PRECONDITION"


class WriteConflict(SidecarError):
    """The key was written by someone else in between; nothing was written."""

    exit_code = 4
    grpc_status = "ABORTED"


class ConcurrentWrite(SidecarError):
    """The key was written at the same moment by someone else too; the message says which text is in force."""

    exit_code = 4
    grpc_status = "ABORTED"


class SnapshotUnusable(SidecarError):
    """The snapshot is torn, of another source, or unreadable; the message says which."""


class StateFileRefused(SidecarError, OSError):
    """A file or folder of the state directory is not used; `strerror` gives the reason and the remedy."""


# Calls, as the server refuses them.


class BadRequest(SidecarError):
    """A request breaks a bound or a rule; `field` names the field, `message` the problem."""

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


class TooManyCalls(SidecarError):
    """There are more calls than the sidecar is configured to take."""

    grpc_status = "RESOURCE_EXHAUSTED"


class MemoryShort(SidecarError):
    """The process is close to its limit of memory."""

    grpc_status = "RESOURCE_EXHAUSTED"

    def __init__(self) -> None:
        super().__init__("the sidecar is short of memory: retry with backoff")


class CallerBound(TooManyCalls):
    """A caller exceeds a bound of its rule in the policy; the message has the time to wait."""


class Unauthenticated(SidecarError):
    """A caller sent no credentials, or invalid ones."""

    grpc_status = "UNAUTHENTICATED"


class PermissionRefused(SidecarError):
    """The policy does not allow a call; the message names the caller and its rule."""

    exit_code = 3
    grpc_status = "PERMISSION_DENIED"


class RequestOverdue(SidecarError):
    """The request of a call did not come in time."""

    grpc_status = "DEADLINE_EXCEEDED"


class NoRequest(SidecarError):
    """A call ended before its request came."""

    grpc_status = "UNIMPLEMENTED"


class UnknownService(SidecarError):
    """A health check names a service that is not served here."""

    grpc_status = "NOT_FOUND"


# Calls, as the client sees them fail.


class SidecarUnreachable(NotServing):
    """Nothing listens at the address, or the connection broke before the response."""


class TooSlow(NotServing):
    """There was no response within the deadline."""

    grpc_status = "DEADLINE_EXCEEDED"


class Overloaded(NotServing):
    """The sidecar has reached its limit of concurrent calls."""

    grpc_status = "RESOURCE_EXHAUSTED"


class CallFailed(SidecarError):
    """The sidecar failed, or a proxy that answered in its place."""


# Health checks.


class ProbeFailed(SidecarError):
    """The datacenter did not answer a probe as it should; the message is the error, in a few words."""


class ProbeNotAllowed(SidecarError):
    """The configuration does not allow this probe; the message names the host."""


# The audit and the tasks that follow it.


class ChainBroken(SidecarError):
    """A line is not a valid link of the audit's chain; the message says how."""


class JournalInUse(SidecarError, OSError):
    """Another process is writing to this journal."""


class NotRecorded(SidecarError):
    """The audit has no such record."""

    exit_code = 3


class DatabaseUnavailable(SidecarError):
    """The shared database does not answer."""

    exit_code = 6


class TaskFailed(SidecarError):
    """An attempt failed; `final` means that another one would too. The message holds no secret."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class TaskDeferred(SidecarError):
    """It is not time yet for a task: the attempt is repeated soon, for as long as it takes."""


class DependencyUnavailable(TaskDeferred):
    """A dependency of a task is unavailable, or does not know of the record yet."""


# Other services: those of reactions, and PowerJob.


class RequestFailed(SidecarError):
    """An HTTP request got no response; the message is the reason, without the URL, which may be a secret."""


class PowerJobUnavailable(SidecarError):
    """No PowerJob server answers."""

    exit_code = 6


class PowerJobRefused(SidecarError):
    """PowerJob answered with a failure."""

    exit_code = 3


class ElasticJobUnavailable(SidecarError):
    """ElasticJob's registry center does not answer, or refuses."""

    exit_code = 6


class NoDatacenter(SidecarError):
    """A Celery task that is not published: no datacenter may run it, or none is known."""


class BrokerUnavailable(SidecarError):
    """Celery's broker does not answer, or refuses."""

    exit_code = 6
