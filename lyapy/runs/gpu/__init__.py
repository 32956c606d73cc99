"""Batches of trajectories on a GPU."""
