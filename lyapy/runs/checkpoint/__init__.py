"""Runs that survive: checkpoints, and going on from them to the same result."""
