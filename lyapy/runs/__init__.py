"""Runs: a network and its inputs become a spectrum."""
