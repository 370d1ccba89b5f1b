"""Select the workers for one job by the sidecar's answer, or all of them without an answer in time."""

import logging
import sys

from sidecar.client import RoutingClient, Worker
from sidecar.errors import SidecarError

log = logging.getLogger(__name__)


def select(client: RoutingClient, app: str, job: str, workers: list[Worker]) -> list[str]:
    """Return the addresses of the workers that may run the job now."""
    try:
        return list(client.filter(app, job=job, candidates=workers, dispatch=True).addresses)
    except SidecarError as failure:
        log.warning("no answer from the sidecar, every worker may run job %s: %s", job, failure)
        return [worker.address for worker in workers]


def main() -> None:
    """Call the sidecar at the given address for job 1001 of billing."""
    workers = [
        Worker("10.1.0.7:27777", metrics="dc1"),
        Worker("10.2.0.9:27777", metrics="dc2"),
        Worker("10.3.0.4:27777", tag="dc2"),
    ]
    with RoutingClient(sys.argv[1]) as client:
        print("run job 1001 on", *select(client, "billing", "1001", workers))


if __name__ == "__main__":
    main()
