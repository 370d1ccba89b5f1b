"""The ZooKeeper source: watches one node, and writes it with compare-and-set for the command line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from sidecar.errors import WriteConflict
from sidecar.sources.base import NO_NOTE, ChangeNote, Content, Gray, Missing, Report, Source
from sidecar.sources.zookeeper.session import ZooKeeperSession
from sidecar.sources.zookeeper.settings import ZooKeeperSettings, read_settings
from sidecar.sources.zookeeper.watch import NodeWatch, report_of


def open_source(url: str, options: Mapping[str, str]) -> Source:
    """Return the source of a URL `zookeeper://HOST:PORT,HOST:PORT/PATH/TO/NODE`, not started.

    Options: `zookeeper-username` and `-password` (digest), `zookeeper-sasl-username`, `-password` and `-mechanism`
    (DIGEST-MD5), `zookeeper-ca`, `-cert`, `-key` (PEM files; any of them turns on TLS) and `zookeeper-tls` (`true`: TLS
    with the system's authorities), `zookeeper-acl` (of created nodes, as zkCli writes it) and
    `zookeeper-create-parents` (`true`: `write` creates missing parents). Raises ConfigError.
    """
    return ZooKeeperSource(read_settings(url, options))


class ZooKeeperSource:
    """A `Source` whose versions are the node's mzxid in hexadecimal: the transaction that wrote it last."""

    history: None = None
    """ZooKeeper keeps no earlier versions of a node."""

    def __init__(self, settings: ZooKeeperSettings) -> None:
        self._settings = settings
        self._watch: NodeWatch | None = None
        self._known_mzxid = 0

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        return self._settings.url

    def resume(self, versions: Sequence[str]) -> None:
        """Do not believe a server that has not seen the last of these; before `start`."""
        with suppress(ValueError, IndexError):
            self._known_mzxid = int(versions[-1], 16)

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Start watching the node."""
        self._watch = NodeWatch(self._settings, deliver, known_mzxid=self._known_mzxid)
        self._watch.start()

    def stop(self, timeout: float) -> None:
        """Stop watching within `timeout` seconds."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop(timeout)

    def read(self, timeout: float) -> Content | Missing:
        """Read the node over a connection of its own, after a sync with the ensemble's leader."""
        deadline = time.monotonic() + timeout
        with self._session(deadline) as session:
            session.sync(deadline - time.monotonic())
            return report_of(session.read_node(deadline - time.monotonic()), self._settings.path)

    def gray(self, timeout: float) -> Gray | None:  # noqa: ARG002 - the signature of every source
        """Return None: a node is the same for everybody."""
        return None

    def write(
        self,
        text: bytes,
        expected_version: str | None,
        timeout: float,
        note: ChangeNote = NO_NOTE,  # noqa: ARG002 - the signature of every source
    ) -> str:
        """Write the node if it is at `expected_version`; None creates it, or fills an empty one."""
        deadline = time.monotonic() + timeout
        with self._session(deadline) as session:
            session.sync(deadline - time.monotonic())
            node = session.read_node(deadline - time.monotonic())
            found = report_of(node, self._settings.path)
            version = found.version if isinstance(found, Content) else None
            if version != expected_version:
                now, before = (f"version {name}" if name else "nothing" for name in (version, expected_version))
                raise WriteConflict(
                    f"{self._settings.path} holds {now}, expected was {before}: somebody else wrote, nothing is written"
                )
            left = deadline - time.monotonic()
            mzxid = session.create(text, left) if node.data is None else session.replace(text, node.version, left)
            return f"{mzxid:#x}"

    @contextmanager
    def _session(self, deadline: float) -> Iterator[ZooKeeperSession]:
        session = ZooKeeperSession(self._settings, threading.Event())
        session.start()
        try:
            session.connect(deadline - time.monotonic())
            yield session
        finally:
            session.close().join(max(0.0, min(1.0, deadline - time.monotonic())))
