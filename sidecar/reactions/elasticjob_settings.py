"""The settings of an `elasticjob` reaction: which jobs are resharded after a change, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.errors import ConfigError
from sidecar.reactions.fields import rate, seconds, secret_file, switch, text, words

if TYPE_CHECKING:
    from sidecar.elasticjob.registry import Namespace

KEYS = ("elasticjob", "app", "jobs", "digest-file", "running", "rate", "watch-for")
_RATE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticJobSettings:
    """A namespace in ZooKeeper, the application's name in the document, and its jobs; None for all.

    The search for misplaced shards is repeated until `watch_for` seconds after the change: sidecars follow a little
    later, and instances may start. At most `rate` jobs are resharded in a second. With `running` ElasticJob does not
    wait for misplaced shards that run.
    """

    namespace: Namespace
    app: str
    jobs: tuple[str, ...] | None
    digest_file: Path | None
    running: bool
    rate: float
    watch_for: float


def read_elasticjob(entry: Mapping[str, Any], place: str) -> ElasticJobSettings:
    """Read the keys of a reaction. Raises ConfigError, naming the place."""
    try:
        from sidecar.elasticjob.registry import read_namespace  # noqa: PLC0415 - kazoo is an extra
    except ImportError as error:
        raise ConfigError(f"{place}: {error}: install dc-sidecar[zookeeper]") from error
    try:
        namespace = read_namespace(text(entry, place, "elasticjob") or "")
    except ConfigError as error:
        raise ConfigError(f"{place}.elasticjob: {error}") from error
    return ElasticJobSettings(
        namespace=namespace,
        app=text(entry, place, "app") or namespace.name,
        jobs=words(entry, place, "jobs") if "jobs" in entry else None,
        digest_file=secret_file(entry, place, "digest-file"),
        running=switch(entry, place, "running", default=False),
        rate=rate(entry, place, _RATE, "jobs"),
        watch_for=seconds(entry, place, "watch-for", 60.0, zero=True),
    )
