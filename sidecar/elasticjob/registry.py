"""ElasticJob's registry center: a namespace in ZooKeeper, read and marked with every call bounded in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from sidecar.elasticjob.model import STRATEGY, ElasticJob, instance_of, read_fields
from sidecar.errors import ConfigError, ElasticJobUnavailable
from sidecar.sources.zookeeper.settings import read_settings

_MAX_SHARDS = 100_000
# An election takes half a second.
_ELECTION_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of jobs: ZooKeeper's hosts, and the path of the namespace without a slash at its ends."""

    hosts: str
    path: str

    @property
    def name(self) -> str:
        """The last part of the path: the application, unless something else names it."""
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"zookeeper://{self.hosts}/{self.path}"


def read_namespace(url: str) -> Namespace:
    """Read `zookeeper://HOST:PORT,HOST:PORT/NAMESPACE`. Raises ConfigError."""
    try:
        found = read_settings(url, {})
    except ConfigError as error:
        raise ConfigError(f"{error}; of ElasticJob, the path is its namespace") from error
    return Namespace(found.hosts, found.path.strip("/"))


class ElasticJobRegistry:
    """A connection to a namespace, for one thread. Calls raise ElasticJobUnavailable."""

    def __init__(self, client: KazooClient, namespace: Namespace, *, owned: bool, timeout: float) -> None:
        self._client: Any = client
        self._namespace = namespace
        self._acl = CREATOR_ALL_ACL if owned else OPEN_ACL_UNSAFE
        self._timeout = timeout

    def jobs(self) -> tuple[str, ...]:
        """Return the names of the jobs that the adapter's strategy shards, in order."""
        names = sorted(self._children(""))
        return tuple(name for name in names if self._config(name).get("jobShardingStrategyType") == STRATEGY)

    def job(self, name: str) -> ElasticJob | None:
        """Return a job; None unless there is one, that is enabled and that the adapter's strategy shards."""
        config = self._config(name)
        if config.get("jobShardingStrategyType") != STRATEGY or config.get("disabled") == "true":
            return None
        instances = {
            identity: instance_of(identity, registration)
            for identity in self._children(f"{name}/instances")
            if (registration := self._data(f"{name}/instances/{identity}")) is not None
        }
        disabled = {ip for ip in self._children(f"{name}/servers") if self._data(f"{name}/servers/{ip}") == "DISABLED"}
        count = config.get("shardingTotalCount", "")
        shards = range(min(int(count), _MAX_SHARDS) if count.isascii() and count.isdigit() else 0)
        return ElasticJob(
            name,
            {identity: worker for identity, worker in instances.items() if _ip(worker.address) not in disabled},
            tuple(self._data(f"{name}/sharding/{item}/instance") or "" for item in shards),
            frozenset(item for item in shards if self._exists(f"{name}/sharding/{item}/running")),
            self._exists(f"{name}/leader/sharding/necessary"),
            self._data(f"{name}/leader/election/instance") or "",
        )

    def request_sharding(self, name: str) -> bool:
        """Request resharding of a job at its next trigger; return False if that was requested already."""
        path = self._path(f"{name}/leader/sharding/necessary")
        try:
            self._result(lambda: self._client.create_async(path, b"", self._acl, makepath=True))
        except NodeExistsError:
            return False
        return True

    def forget_running(self, name: str, item: int) -> None:
        """Make ElasticJob not wait for a running shard before it reshards a job."""
        self._delete(f"{name}/sharding/{item}/running")

    def elect(self, name: str) -> str:
        """Have the instances of a job elect a leader again; return it, maybe the same, "" if there is none in time."""
        path = f"{name}/leader/election/instance"
        self._delete(path)
        deadline = time.monotonic() + self._timeout
        while not (leader := self._data(path) or "") and time.monotonic() < deadline:
            time.sleep(_ELECTION_POLL_S)
        return leader

    def _config(self, name: str) -> Mapping[str, str]:
        return read_fields(self._data(f"{name}/config") or "")

    def _children(self, path: str) -> list[str]:
        with suppress(NoNodeError):
            return [str(name) for name in self._result(lambda: self._client.get_children_async(self._path(path)))]
        return []

    def _data(self, path: str) -> str | None:
        with suppress(NoNodeError):
            data, _ = self._result(lambda: self._client.get_async(self._path(path)))
            return (data or b"").decode(errors="replace")
        return None

    def _exists(self, path: str) -> bool:
        return self._result(lambda: self._client.exists_async(self._path(path))) is not None

    def _delete(self, path: str) -> None:
        with suppress(NoNodeError):
            self._result(lambda: self._client.delete_async(self._path(path)))

    def _path(self, path: str) -> str:
        return f"/{self._namespace.path}/{path}".rstrip("/")

    def _result(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - kazoo has no types
        try:
            return ask().get(timeout=self._timeout)
        except (NoNodeError, NodeExistsError):
            raise
        except (KazooException, KazooTimeoutError, OSError) as error:
            raise ElasticJobUnavailable(f"{self._namespace}: {str(error) or type(error).__name__}") from error


@contextmanager
def open_registry(namespace: Namespace, *, digest: str = "", timeout: float = 5.0) -> Iterator[ElasticJobRegistry]:
    """Connect; `digest` is `USER:PASSWORD`, "" for none. Raises ElasticJobUnavailable."""
    # A logger that nobody can configure by name: kazoo's DEBUG log has the password.
    logger = logging.Logger("kazoo", level=logging.ERROR)  # noqa: LOG001
    logger.addHandler(logging.NullHandler())
    client = KazooClient(
        hosts=namespace.hosts,
        timeout=max(timeout, 2.0),
        auth_data=[("digest", digest)] if digest else None,
        connection_retry=KazooRetry(max_tries=-1, delay=0.1, backoff=2, max_delay=1.0),
        logger=logger,
    )
    try:
        try:
            client.start(timeout=timeout)
        except (KazooException, KazooTimeoutError, OSError) as error:
            raise ElasticJobUnavailable(f"{namespace} does not answer in {timeout:g} s") from error
        yield ElasticJobRegistry(client, namespace, owned=bool(digest), timeout=timeout)
    finally:
        client.stop()
        client.close()


def _ip(address: str) -> str:
    return address.rpartition(":")[0] or address
