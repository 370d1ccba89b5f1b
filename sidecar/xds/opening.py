"""Opens xDS from the sidecar's settings, where it is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.config import Settings
from sidecar.errors import ConfigError
from sidecar.table import ViewProvider
from sidecar.xds.settings import XdsSettings

if TYPE_CHECKING:
    from sidecar.xds.service import XdsService


def open_xds(settings: Settings, table: ViewProvider) -> XdsService:
    """Return the service.

    Raises ConfigError without the package of the messages, for several worker processes, and for a file of endpoints
    that cannot be used.
    """
    if settings.workers > 1:
        raise ConfigError(
            "--xds: expected --workers 1, as one process serves all Envoys: leave --workers out, or run another "
            "sidecar for them"
        )
    try:
        from sidecar.xds.service import XdsService  # noqa: PLC0415 - its package may be missing
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--xds needs the package xds-protos (found no {error.name}): pip install '.[xds]' in a checkout"
        ) from None
    names = XdsSettings(xds_cluster=settings.xds_cluster, xds_runtime_prefix=settings.xds_runtime_prefix)
    if settings.xds_endpoints is None:
        return XdsService(table, names)
    from sidecar.xds.endpoints_file import EndpointsFile  # noqa: PLC0415 - only where it is configured

    return XdsService(table, names, EndpointsFile(settings.xds_endpoints))
