"""Reactions to changes: webhooks, commands, and the rescheduling of PowerJob's work."""
