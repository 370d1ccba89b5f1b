"""The settings of the routing of a Celery application."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from sidecar.celery.queue_names import QueueNames
from sidecar.client import Tls
from sidecar.errors import ConfigError
from sidecar.routing.location import NAME

ENVIRONMENT_TARGET = "DC_SIDECAR_TARGET"
ENVIRONMENT_DATACENTER = "DC_SIDECAR_DATACENTER"
ENVIRONMENT_DATACENTER_FILE = "DC_SIDECAR_DATACENTER_FILE"
_DATACENTER_FILE = Path("/etc/dc-sidecar/datacenter")
_TARGET = "127.0.0.1:50051"
_ARGUMENT = "argument:"
_MAX_NAME_BYTES = 100

Choice = TypeVar("Choice", bound=Enum)


class OnOutage(Enum):
    """How a task is routed without an answer, neither from the sidecar nor cached."""

    LAST_KNOWN = "last-known"
    OPEN = "open"
    CLOSED = "closed"


class OnNoWorker(Enum):
    """The fate of a task that no worker may run."""

    QUEUE = "queue"
    FAIL = "fail"


class Forward(Enum):
    """Which tasks a worker sends on if they belong in another datacenter when they are about to run."""

    ETA = "eta"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class CelerySettings:
    """How tasks are routed; times are in seconds.

    Args:
        application: The application's name in the routing document.
        target: The sidecar's address, `unix:/path` or `host:port`.
        tls: Certificates, where the sidecar serves TLS.
        timeout: The deadline of a call to the sidecar.
        share_by: What keeps tasks of a split together: `task` (the task's name), `id` (each task on its own) or
            `argument:NAME` (the value of an argument; a task without it is on its own).
        queues: The queues whose tasks are routed; None for all but those in `exclude`.
        exclude: Queues whose tasks are not routed.
        template: The name of a datacenter's queue.
        on_outage: `last-known`: where the last known routes allow; `open`: the queue that every worker consumes;
            `closed`: publishing raises NoDatacenter.
        last_answer_for: How long the last answer is used while the sidecar is unreachable.
        on_no_worker: `queue`: the task waits in the queue of the datacenter that it prefers; `fail`: publishing raises
            NoDatacenter.
        forward: Which tasks a worker sends on if they belong elsewhere when they are about to run: those with an `eta`,
            `always` or `never`.
        observe_every: The pause between two inspections of the live workers; 0 for none.
        state_dir: A folder for the last known routes and workers, shared by the processes of a host; None for none.
        datacenter: The datacenter of this process, if it is a worker.

    """

    application: str
    target: str = field(default_factory=lambda: os.environ.get(ENVIRONMENT_TARGET) or _TARGET)
    tls: Tls | None = None
    timeout: float = 0.2
    share_by: str = "task"
    queues: Collection[str] | None = None
    exclude: Collection[str] = ()
    template: str = "{queue}.{dc}"
    on_outage: OnOutage | str = OnOutage.LAST_KNOWN
    last_answer_for: float = 600.0
    on_no_worker: OnNoWorker | str = OnNoWorker.QUEUE
    forward: Forward | str = Forward.ETA
    observe_every: float = 10.0
    state_dir: Path | str | None = field(default_factory=lambda: default_state_dir(os.environ))
    datacenter: str = field(default_factory=lambda: own_datacenter(os.environ))

    def __post_init__(self) -> None:
        """Convert texts to their choices. Raises ConfigError for a value that cannot be used."""
        put = object.__setattr__
        put(self, "on_outage", _choice("on_outage", OnOutage, self.on_outage))
        put(self, "on_no_worker", _choice("on_no_worker", OnNoWorker, self.on_no_worker))
        put(self, "forward", _choice("forward", Forward, self.forward))
        put(self, "state_dir", None if self.state_dir is None else Path(self.state_dir))
        if not self.application or len(self.application.encode()) > _MAX_NAME_BYTES:
            raise ConfigError(f"application: found {self.application!r}, expected a name of at most 100 bytes")
        if self.share_by not in {"task", "id"} and not self.argument:
            raise ConfigError(f"share_by: found {self.share_by!r}, expected task, id or argument:NAME")
        if self.datacenter and not NAME.fullmatch(self.datacenter):
            raise ConfigError(f"datacenter: found {self.datacenter!r}, expected 1 to 63 letters, digits and . _ -")
        for key in ("timeout", "last_answer_for", "observe_every"):
            if getattr(self, key) < 0 or (key == "timeout" and not self.timeout):
                raise ConfigError(f"{key}: found {getattr(self, key)!r}, expected seconds")
        QueueNames(self.template)

    @property
    def argument(self) -> str:
        """The argument that shares are taken by, "" for none."""
        return self.share_by.removeprefix(_ARGUMENT) if self.share_by.startswith(_ARGUMENT) else ""

    def routes(self, queue: str) -> bool:
        """Return whether the tasks of a queue are routed."""
        return queue not in self.exclude and (self.queues is None or queue in self.queues)


def default_state_dir(environment: Mapping[str, str]) -> Path | None:
    """Return the folder for state in the user's home directory, None where there is none."""
    state = environment.get("XDG_STATE_HOME")
    if state:
        return Path(state) / "dc-sidecar" / "celery"
    home = environment.get("HOME")
    return Path(home) / ".local" / "state" / "dc-sidecar" / "celery" if home else None


def own_datacenter(environment: Mapping[str, str]) -> str:
    """Return the datacenter that the environment or the host's file names, "" for none."""
    name = environment.get(ENVIRONMENT_DATACENTER, "").strip()
    if name:
        return name
    try:
        return Path(environment.get(ENVIRONMENT_DATACENTER_FILE) or _DATACENTER_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _choice(name: str, kind: type[Choice], value: object) -> Choice:
    try:
        return kind(value)
    except ValueError:
        expected = " or ".join(member.value for member in kind)
        raise ConfigError(f"{name}: found {value!r}, expected {expected}") from None
