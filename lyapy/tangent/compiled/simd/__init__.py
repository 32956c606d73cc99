"""Innermost loops, written for vector registers."""
