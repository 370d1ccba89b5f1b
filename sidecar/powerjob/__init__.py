"""Reschedules PowerJob's work: finds what an outage or a switch left behind, and retries it by PowerJob's OpenAPI."""
