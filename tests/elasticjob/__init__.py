"""Runs ElasticJob's jobs with the adapter."""
