"""Finds the shards of ElasticJob's jobs that are not where they should be, and requests resharding of those jobs."""
