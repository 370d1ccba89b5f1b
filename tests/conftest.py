"""Registers the fixtures that several folders of tests share."""

pytest_plugins = ["tests.servers.fixtures"]
