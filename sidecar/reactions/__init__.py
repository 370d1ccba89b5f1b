"""Reactions to changes: webhooks, commands, the rescheduling of PowerJob's work, the moving of Celery's."""
