"""The gRPC API of the routing table, which schedulers call."""
