"""Tests of the product. Folders with fixtures of their own scope are packages: pytest ends those with packages only."""
