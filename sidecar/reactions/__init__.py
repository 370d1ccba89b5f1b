"""Reactions to changes: webhooks, commands, and moving the work of PowerJob, Celery and ElasticJob."""
