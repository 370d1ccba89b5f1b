"""Reschedules PowerJob's work: finds runs that an outage or a switch left behind, and retries them by its OpenAPI."""
