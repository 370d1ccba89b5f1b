"""Runs Celery's workers on real brokers with the router."""
