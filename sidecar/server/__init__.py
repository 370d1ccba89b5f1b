"""The gRPC face of the routing table: what schedulers call."""
