"""Health checks: probes beside the decisions, the verdicts that follow, and the failovers to be kept."""
