"""Measures the time from the rename of a new document to the first decision by it.

    python -m bench.file_latency [--rounds 50]

Calls a real `dc-sidecar serve` without a pause, renames, and takes the time until the first answer by the new document.
The budget is a median of 50 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import grpc

from bench.servers import Server
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb

REQUEST = pb.FilterWorkersRequest(
    app="billing", job="7", candidates=[pb.Worker(address=f"w{n}:1", datacenter=f"dc{n}") for n in (1, 2)]
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routing.yaml"
        path.write_text("dc1")
        with Server.sidecar(path, core=0) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            ask = channel.unary_unary(
                "/dcsidecar.v1.RoutingService/FilterWorkers",
                request_serializer=pb.FilterWorkersRequest.SerializeToString,
                response_deserializer=pb.FilterWorkersResponse.FromString,
            )
            took = []
            for number in range(1, rounds + 1):
                wanted = f"dc{number % 2 + 1}"
                beside = path.with_name(".new")
                beside.write_text(f"{wanted} # {number}")
                time.sleep(0.05)
                began = time.perf_counter()
                beside.rename(path)
                while ask(REQUEST).datacenter != wanted:
                    pass
                took.append((time.perf_counter() - began) * 1000)
    cuts = quantiles(took, n=20)
    print(f"rename to first decision: median {median(took):.1f} ms, p95 {cuts[-1]:.1f} ms, worst {max(took):.1f} ms")


if __name__ == "__main__":
    main()
