"""The Apollo source: reads the key from the config services, which decides, and is woken by their long poll."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from sidecar.errors import SourceError
from sidecar.sources.apollo.client import ApolloClient, FoundRelease
from sidecar.sources.apollo.gray import released_gray
from sidecar.sources.apollo.history import ApolloHistory
from sidecar.sources.apollo.poll import LongPoll
from sidecar.sources.apollo.publish import publish, read_released
from sidecar.sources.apollo.settings import ApolloSettings, PortalSettings, settings_from
from sidecar.sources.apollo.url import parse
from sidecar.sources.apollo.watcher import ApolloWatcher
from sidecar.sources.base import NO_NOTE, ChangeNote, Content, Gray, History, Missing, Report, Source

__all__ = ["ApolloSource", "open_source"]


def open_source(url: str, options: Mapping[str, str]) -> Source:
    """Return the source of a URL `apollo://META:PORT,META:PORT/APP_ID/CLUSTER/NAMESPACE#KEY`, not started.

    `apollo+https://` asks the meta servers by TLS. Options: see `sidecar.config.options`. Raises ConfigError.
    """
    return ApolloSource(settings_from(parse(url), options))


class ApolloSource:
    """A `Source` whose versions are the cluster and the key of a release: `default/20261127120208-5307fdd62563467a`."""

    def __init__(self, settings: ApolloSettings) -> None:
        self._settings = settings
        self._versions: tuple[str, ...] = ()
        self._watcher: ApolloWatcher | None = None
        self._poll: LongPoll | None = None

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        return str(self._settings.key)

    def resume(self, versions: Sequence[str]) -> None:
        """Note the versions that were in force before, newest last: an earlier one needs a second read."""
        self._versions = tuple(versions)

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Start watching the key: one thread reads, one polls."""
        wake = threading.Event()
        self._poll = poll = LongPoll(self._settings, wake.set)
        client = ApolloClient(self._settings)
        self._watcher = watcher = ApolloWatcher(client, poll, deliver, wake, versions=self._versions)
        watcher.start()
        poll.start()

    def stop(self, timeout: float) -> None:
        """Stop watching within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        if self._watcher is not None and self._poll is not None:
            self._poll.stop()
            self._watcher.stop(timeout / 2)
            self._poll.join(max(0.0, deadline - time.monotonic()))
        self._watcher = self._poll = None

    @property
    def history(self) -> History:
        """The namespace's releases, and who made them, from an admin service."""
        return ApolloHistory(self._settings)

    def read(self, timeout: float) -> Content | Missing:
        """Read the ordinary release: from the portal where one is configured, else as a client without a label."""
        if self._settings.portal is not None:
            return read_released(self._settings, self._settings.portal, timeout)
        client = ApolloClient(self._settings.ordinary())
        try:
            found = client.read(timeout, {})
        finally:
            client.close()
        if not isinstance(found, FoundRelease):
            return Missing(found.reason)
        if found.branch:
            raise SourceError(
                f"{self.url}: this machine is served the gray release {found.branch}, and only the portal has the "
                "ordinary one: set apollo-portal and apollo-token-file"
            )
        return Content(found.text, found.version)

    def gray(self, timeout: float) -> Gray | None:
        """Return the gray release beside the ordinary one, for any clients. Raises SourceError."""
        return released_gray(self._settings, self._portal_settings(), timeout)

    def write(self, text: bytes, expected_version: str | None, timeout: float, note: ChangeNote = NO_NOTE) -> str:
        """Edit and release through the portal; conflicts are detected, not prevented (ADR 502)."""
        return publish(self._settings, self._portal_settings(), text, expected_version, note, timeout)

    def _portal_settings(self) -> PortalSettings:
        """Return the portal's settings. Raises SourceError where there are none."""
        if self._settings.portal is None:
            raise SourceError(
                "Apollo is written through its portal, and none is configured: set --apollo-portal to its URL, and "
                "DC_SIDECAR_APOLLO_TOKEN or --apollo-token-file to a token of its open API"
            )
        return self._settings.portal
