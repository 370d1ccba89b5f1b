"""The command line, one file a verb; nothing else imports it."""

from sidecar.cli.main import main

__all__ = ["main"]
