"""Several processes that answer calls on the same port, fed by the one that watches the source (`--workers`)."""
