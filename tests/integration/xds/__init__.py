"""Runs Envoys and gRPC clients that follow the sidecar over xDS."""
