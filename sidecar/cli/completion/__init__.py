"""Completes names of the live document before click is loaded, which would take longer than the answer."""
