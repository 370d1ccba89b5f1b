"""The settings of xDS."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLACE = re.compile(r"\{(app|dc)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class XdsSettings:
    """How Envoy names things.

    xds_cluster: the name of the cluster of a datacenter, with {dc} and, where clusters are per application, {app}.
    xds_runtime_prefix: what the runtime keys begin with.
    """

    xds_cluster: str = "{app}-{dc}"
    xds_runtime_prefix: str = "dc"

    def cluster(self, app: str, datacenter: str) -> str:
        """Return the name of the cluster of an application in a datacenter."""
        values = {"app": app, "dc": datacenter}
        # In one pass: an application may have braces in its name.
        return _PLACE.sub(lambda match: values[match[1]], self.xds_cluster)
