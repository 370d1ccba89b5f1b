"""What a sidecar does about a change: it tells people and programs, and runs commands."""
