"""The command line, one module a command; nothing else imports it."""

from sidecar.cli.main import main

__all__ = ["main"]
