"""Decides in which datacenter a scheduler's jobs run, from one key in the config center."""

__version__ = "0.1.0"
