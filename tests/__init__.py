"""Tests of the product; a folder whose fixtures have its scope is a package, as pytest ends them with nothing else."""
