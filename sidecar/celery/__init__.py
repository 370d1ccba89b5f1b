"""Routes the tasks of a Celery application to the queues of the datacenters where they run now."""

from sidecar.celery.fork_safety import FORK_SAFE
from sidecar.celery.routing import DatacenterRouting
from sidecar.celery.settings import CelerySettings
from sidecar.errors import NoDatacenter

__all__ = ["FORK_SAFE", "CelerySettings", "DatacenterRouting", "NoDatacenter"]
