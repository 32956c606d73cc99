"""Exact and published cases, and the coverage of confidence intervals."""
