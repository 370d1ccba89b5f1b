"""The gRPC face of the routing table: what schedulers call."""

import os

# gRPC reads it when it is imported, so it stands here, before anything of this package is. Its newer engine reads what
# comes on threads of its own and hands it over; its older one reads on the thread that answers, for 2/3 of the CPU of a
# call: docs/decisions/0902-direct-calls.md. What the operator says stands.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
