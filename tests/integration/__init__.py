"""Runs the sidecar beside real servers."""
