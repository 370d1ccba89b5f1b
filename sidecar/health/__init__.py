"""Which datacenters are out of order: probes beside the decisions, and what follows from them."""
