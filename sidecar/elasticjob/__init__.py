"""Finds the shards of ElasticJob's jobs that are elsewhere than they should be, and has those jobs sharded anew."""
