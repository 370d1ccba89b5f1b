"""The commands of `dc-sidecar`, one module each, named as the command is."""
