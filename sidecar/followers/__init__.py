"""Outputs of the shares for balancers and meshes, each an option that is imported only where it is set."""
