"""Deviation vectors through one chunk of time."""
