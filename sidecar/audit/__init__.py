"""The record of what changed, who changed it and why, and when it took effect here."""
