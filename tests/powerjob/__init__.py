"""Runs PowerJob's scheduler and workers with the adapter."""
