"""Choose the workers for one job: as the sidecar says, or all of them where it says nothing in time."""

import logging
import sys

from sidecar.client import RoutingClient, Worker
from sidecar.errors import SidecarError

log = logging.getLogger(__name__)


def choose(client: RoutingClient, app: str, job: str, workers: list[Worker]) -> list[str]:
    """Return the addresses of the workers that may run the job now."""
    try:
        return list(client.filter(app, job=job, candidates=workers).addresses)
    except SidecarError as failure:
        log.warning("the sidecar gives no answer, every worker may run job %s: %s", job, failure)
        return [worker.address for worker in workers]


def main() -> None:
    """Ask the sidecar at the address given about job 1001 of billing."""
    workers = [
        Worker("10.1.0.7:27777", metrics="dc1"),
        Worker("10.2.0.9:27777", metrics="dc2"),
        Worker("10.3.0.4:27777", tag="dc2"),
    ]
    with RoutingClient(sys.argv[1]) as client:
        print("run job 1001 on", *choose(client, "billing", "1001", workers))


if __name__ == "__main__":
    main()
