"""Opens xDS from the sidecar's settings, where it is configured."""

from __future__ import annotations

from sidecar.config import Settings
from sidecar.errors import ConfigError
from sidecar.table import ViewProvider
from sidecar.xds.service import XdsService
from sidecar.xds.settings import XdsSettings


def open_xds(settings: Settings, table: ViewProvider) -> XdsService:
    """Return the service. Raises ConfigError for several worker processes, or a file of endpoints it cannot use."""
    if settings.workers > 1:
        raise ConfigError(
            "--xds: expected --workers 1, as one process serves all Envoys: leave --workers out, or run another "
            "sidecar for them"
        )
    names = XdsSettings(xds_cluster=settings.xds_cluster, xds_runtime_prefix=settings.xds_runtime_prefix)
    if settings.xds_endpoints is None:
        return XdsService(table, names)
    from sidecar.xds.endpoints_file import EndpointsFile  # noqa: PLC0415 - only where it is configured

    return XdsService(table, names, EndpointsFile(settings.xds_endpoints))
