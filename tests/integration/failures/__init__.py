"""Runs the sidecar while its sources fail."""
